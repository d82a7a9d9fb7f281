"""How much memory and disk is left for decoded images."""

from __future__ import annotations

import shutil
from pathlib import Path

import psutil

_CGROUP = Path("/sys/fs/cgroup")
"""Where a container or a queue's job is told how much memory it may use."""


def free_memory_bytes() -> int:
    """Return the memory that this process may still use: what the machine has left, or what its control group has."""
    machine = int(psutil.virtual_memory().available)
    allowed, used = (_read_number(_CGROUP / name) for name in ("memory.max", "memory.current"))
    return machine if allowed is None else min(machine, max(0, allowed - (used or 0)))


def free_disk_bytes(folder: Path) -> int:
    """Return the free space where a folder is, or would be."""
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.is_dir())
    return shutil.disk_usage(there).free


def _read_number(file: Path) -> int | None:
    """Return the number in a file; None where there is no such file, or no limit."""
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None
