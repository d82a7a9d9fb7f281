"""Recognises averages and copies of weights by their names."""

from __future__ import annotations

import re

MOVING = frozenset({"ema"})
"""Words in the names of moving averages."""

COPIES = MOVING | {"swa", "avg", "average", "averaged", "averager", "polyak", "shadow", "best"}
"""Words in the names of averages, and of copies of an epoch."""


def is_moving_average(key: str) -> bool:
    """Return whether the last part of a dotted key names a moving average, such as ``state_dict_ema``."""
    return bool(_words(key.rpartition(".")[2]) & MOVING)


def is_copy(key: str) -> bool:
    """Return whether a part of a dotted key names an average or a copy, such as ``best_model_state``."""
    return bool(_words(key) & COPIES)


def _words(key: str) -> set[str]:
    return set(re.split(r"[^a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", key).lower()))
