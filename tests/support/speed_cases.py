"""Speed cases, restarts and records for tests."""

from __future__ import annotations

from typing import Any

from segbench.results.speed.fingerprint import HARD_KEYS, SOFT_KEYS
from segbench.results.speed.record import Restart, SpeedCase, SpeedRecord, SpeedStatus, Task, Warmup


def case(**changes: Any) -> SpeedCase:
    """Return the inference of a tiny network, with fields replaced."""
    document: dict[str, Any] = {
        "task": Task.INFERENCE,
        "label": "cnn",
        "model": {"name": "cnn", "width": 0.0625},
        "classes": 4,
        "channels": 3,
        "size": (32, 32),
        "batch_size": 1,
        "precision": "fp32",
        "channels_last": False,
        "mode": "eager",
        "device": "cpu",
        "threads": 1,
    }
    return SpeedCase.model_validate(document | changes)


def restart(*seconds: float, **changes: Any) -> Restart:
    """Return a measured restart with these samples."""
    document: dict[str, Any] = {
        "status": SpeedStatus.MEASURED,
        "host_seconds": seconds,
        "warmup": Warmup(first_call_seconds=0.5, calls=17, seconds=1.0, steady=True),
    }
    return Restart.model_validate(document | changes)


def fingerprint() -> dict[str, Any]:
    """Return a fingerprint in which every key has a value."""
    found: dict[str, Any] = {}
    for key in (*HARD_KEYS, *SOFT_KEYS):
        *path, last = key.split(".")
        part = found
        for name in path:
            part = part.setdefault(name, {})
        part[last] = f"some {last}"
    return found


def changed_fingerprint(key: str, value: Any) -> dict[str, Any]:
    """Return that fingerprint with one dotted key replaced."""
    found = fingerprint()
    *path, last = key.split(".")
    part = found
    for name in path:
        part = part[name]
    part[last] = value
    return found


def record(*restarts: Restart, **changes: Any) -> SpeedRecord:
    """Return the record of a case with these restarts."""
    return SpeedRecord(case=case(**changes), restarts=restarts, environment=fingerprint())
