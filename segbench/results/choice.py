"""Which trial of a tuning is chosen."""

from __future__ import annotations

import math
from collections.abc import Sequence


def best_position(scores: Sequence[float | None]) -> int | None:
    """Return the position of the best score, the earliest of equal ones; None where there is no score.

    Args:
        scores: The validation mIoU of each trial in the grid's order; None, or NaN, for one that has none.
    """
    known = {position: score for position, score in enumerate(scores) if score is not None and not math.isnan(score)}
    return max(known, key=lambda position: (known[position], -position), default=None)
