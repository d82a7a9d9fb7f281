"""Tells averages of weights and other copies from the weights themselves, by what they are called."""

from __future__ import annotations

import re

MOVING = frozenset({"ema"})
"""Words in the name of a moving average."""

COPIES = MOVING | {"swa", "avg", "average", "averaged", "averager", "polyak", "shadow", "best"}
"""Words in the names of averages, and of copies that were kept of an epoch."""


def is_moving_average(key: str) -> bool:
    """Tell whether the last part of a dotted key names a moving average, as ``state_dict_ema`` and ``ema_model`` do."""
    return bool(_words(key.rpartition(".")[2]) & MOVING)


def is_copy(key: str) -> bool:
    """Tell whether a part of a dotted key names an average or a copy, as ``ema.model`` and ``best_model_state`` do."""
    return bool(_words(key) & COPIES)


def _words(key: str) -> set[str]:
    return set(re.split(r"[^a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", key).lower()))
