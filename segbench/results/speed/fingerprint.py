"""Decides whether the speeds of two machines are comparable, and lists further differences."""

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
"""Dotted keys of a fingerprint that must be equal for speeds to be comparable."""

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
"""Dotted keys that may differ; reports list the differences."""


class Difference(NamedTuple):
    """A key whose values differ in two fingerprints."""

    key: str
    before: Any
    now: Any

    def __str__(self) -> str:
        return f"{self.key}: {self.before!r} before, {self.now!r} now"


def differences(before: Mapping[str, Any], now: Mapping[str, Any], *, keys: tuple[str, ...]) -> list[Difference]:
    """Return the keys whose values differ, in the order given.

    A missing key and a null value count as different: an unknown machine is not the same machine.
    """
    found = [Difference(key, _value(before, key), _value(now, key)) for key in keys]
    return [difference for difference in found if difference.before != difference.now]


def machine_digest(fingerprint: Mapping[str, Any]) -> str:
    """Return the SHA-256 of all hard keys; machines with equal digests have comparable speeds."""
    facts = {key: repr(_value(fingerprint, key)) for key in HARD_KEYS}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def fact(fingerprint: Mapping[str, Any], key: str) -> Any:
    """Return a dotted key's value; None if the fingerprint lacks it."""
    value = _value(fingerprint, key)
    return None if isinstance(value, _Missing) else value


class _Missing:
    """Marks a key that a fingerprint lacks."""

    def __repr__(self) -> str:
        return "missing"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Missing)

    def __hash__(self) -> int:
        return hash(_Missing)


def _value(fingerprint: Mapping[str, Any], key: str) -> Any:
    """Return a dotted key's value; keys below a null are null."""
    value: Any = fingerprint
    for part in key.split("."):
        if value is None:
            return None
        if not isinstance(value, Mapping) or part not in value:
            return _Missing()
        value = value[part]
    return value
