"""What two machines must have in common for their speeds to be compared, and what only explains a difference."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

HARD_KEYS = (
    "processor",
    "cpu_capability",
    "cores",
    "threads",
    "system",
    "device",
    "accelerator.name",
    "accelerator.memory_bytes",
    "accelerator.driver",
    "cuda",
    "cudnn",
    "versions.torch",
)
"""Speeds are compared only where all of these are equal (dotted keys of a fingerprint)."""

SOFT_KEYS = (
    "platform",
    "python",
    "memory_bytes",
    "affinity",
    "versions.segbench",
    "versions.torchvision",
    "versions.timm",
    "commit",
)
"""These may differ; a report names them."""


class Difference(NamedTuple):
    """One key in which two fingerprints differ."""

    key: str
    before: Any
    now: Any

    def __str__(self) -> str:
        return f"{self.key}: {self.before!r} before, {self.now!r} now"


def differences(before: Mapping[str, Any], now: Mapping[str, Any], *, keys: tuple[str, ...]) -> list[Difference]:
    """Return the keys in which two fingerprints differ, in the order given.

    A key that one of them lacks differs from one that is null: an unknown machine is not the same machine.
    """
    found = [Difference(key, _value(before, key), _value(now, key)) for key in keys]
    return [difference for difference in found if difference.before != difference.now]


def machine_digest(fingerprint: Mapping[str, Any]) -> str:
    """Return the SHA-256 of all hard keys: equal for machines whose speeds compare."""
    facts = {key: repr(_value(fingerprint, key)) for key in HARD_KEYS}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def fact(fingerprint: Mapping[str, Any], key: str) -> Any:
    """Return a dotted key's value; None where the fingerprint does not tell it."""
    value = _value(fingerprint, key)
    return None if isinstance(value, _Missing) else value


class _Missing:
    """Stands for a key that a fingerprint does not have."""

    def __repr__(self) -> str:
        return "missing"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Missing)

    def __hash__(self) -> int:
        return hash(_Missing)


def _value(fingerprint: Mapping[str, Any], key: str) -> Any:
    """Return a dotted key's value; what lies under a null is null."""
    value: Any = fingerprint
    for part in key.split("."):
        if value is None:
            return None
        if not isinstance(value, Mapping) or part not in value:
            return _Missing()
        value = value[part]
    return value
