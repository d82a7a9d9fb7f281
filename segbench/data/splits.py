"""Splits of a data set: the names that it knows."""

from __future__ import annotations

from collections.abc import Iterable

from segbench.errors import DataError, did_you_mean


def check_split(dataset: str, split: str, known: Iterable[str]) -> None:
    """Refuse a split that a data set does not have.

    Raises:
        DataError: The split is unknown; the nearest known one is named.
    """
    known = list(known)
    if split not in known:
        raise DataError(f"{dataset} has no split {split!r}{did_you_mean(split, known)}; it has {', '.join(known)}")
