"""Chooses the best trial of a tuning."""

from __future__ import annotations

import math
from collections.abc import Sequence


def best_position(scores: Sequence[float | None]) -> int | None:
    """Return the index of the best score, the first one if several are equal; None if there is no score.

    Args:
        scores: The validation mIoU of each trial in the grid's order; None or NaN for a trial without one.
    """
    known = {position: score for position, score in enumerate(scores) if score is not None and not math.isnan(score)}
    return max(known, key=lambda position: (known[position], -position), default=None)
