"""Checks the names of splits."""

from __future__ import annotations

from collections.abc import Iterable

from segbench.errors import DataError, did_you_mean


def check_split(dataset: str, split: str, known: Iterable[str]) -> None:
    """Refuse a split that a data set does not have.

    Raises:
        DataError: The split is unknown; names the most similar one and all splits.
    """
    known = list(known)
    if split not in known:
        near = did_you_mean(split, known).partition(";")[0]
        raise DataError(f"{dataset} has no split {split!r}{near}{' It' if near else '; it'} has {', '.join(known)}")
