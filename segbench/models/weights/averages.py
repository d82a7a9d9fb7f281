"""Recognises averages and copies of weights by their names."""

from __future__ import annotations

import re

MOVING = frozenset({"ema"})
"""Words in the names of moving averages."""

COPIES = MOVING | {"swa", "avg", "average", "averaged", "averager", "polyak", "shadow", "best"}
"""Words in the names of averages, and of copies of an epoch."""

_LAST = frozenset({"last", "latest", "final", "current", "newest", "recent"})
_PLAIN = frozenset({"state", "dict", "model", "module", "net", "network", "weights", "params"})
"""Words in plain names of the weights themselves."""


def is_moving_average(key: str) -> bool:
    """Return whether the last part of a dotted key names a moving average, such as ``state_dict_ema``."""
    return bool(_words(key.rpartition(".")[2]) & MOVING)


def is_copy(key: str) -> bool:
    """Return whether a part of a dotted key names an average or a copy, such as ``best_model_state``."""
    return bool(_words(key) & COPIES)


def is_choice_beside(key: str, other: str) -> bool:
    """Tell whether a key names the best weights and another some of another epoch, such as ``best`` and ``last``.

    ``best_model_state`` is a copy beside ``model_state``, whose name says nothing of an epoch.
    """
    words, others = _words(key), _words(other)
    if "best" not in words or "best" in others:
        return False
    return bool(others & _LAST) or not others & (words | _PLAIN)


def _words(key: str) -> set[str]:
    return {word for word in re.split(r"[^a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", key).lower()) if word}
