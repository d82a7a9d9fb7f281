"""Detects runs whose labels contradict those of other runs that were tested on the same data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import numpy as np
import pandas as pd

from segbench.report.text import is_absent, plural
from segbench.results.record import Status


def contradicted(rows: pd.DataFrame) -> dict[Any, str]:
    """Return the completed runs whose label counts are not those of most runs on the same data, with the reason.

    Whatever a network predicts, the pixels of each class in each label are the same. Where no count is that of more
    than half of the runs, none can be trusted.

    Args:
        rows: Rows of ``load_results``.

    Returns:
        The reason by index of the row.
    """
    found: dict[Any, str] = {}
    for places in _same_data(rows):
        counts = {place: _label_counts(rows.loc[place, "image_counts"].labelled) for place in places}
        (most, times), *others = Counter(counts.values()).most_common()
        if not others:
            continue
        trusted = most if 2 * times > len(places) else None
        found |= {place: _reason(len(places), trusted) for place, count in counts.items() if count != trusted}
    return found


def _same_data(rows: pd.DataFrame) -> Iterator[list[Any]]:
    """Yield the indices of runs that were tested on the same images and labels."""
    groups: dict[Any, list[Any]] = {}
    for run in rows.itertuples():
        known: Any = run
        if known.status == Status.COMPLETED and not is_absent(known.test_digest) and known.image_counts is not None:
            data = (known.test_digest, known.test_fingerprint, known.test_pixel_digest, known.classes)
            groups.setdefault((*map(str, data), known.image_names), []).append(known.Index)
    yield from groups.values()


def _label_counts(labels: np.ndarray[Any, Any]) -> str:
    return sha256(np.ascontiguousarray(labels, dtype=np.int64).tobytes()).hexdigest()


def _reason(runs: int, trusted: str | None) -> str:
    among = plural(runs, "run")
    if trusted is None:
        return f"the {among} on this test data count different labels; which of them is right is unknown"
    return f"counts other labels than most of the {among} on the same test data: its matrices were changed"
