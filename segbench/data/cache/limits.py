"""Finds how much memory and disk space is free for decoded images."""

from __future__ import annotations

import shutil
from pathlib import Path

import psutil

_CGROUPS = Path("/sys/fs/cgroup")
"""Root of control groups, which limit the memory of containers and batch jobs."""
_OWN_CGROUP = Path("/proc/self/cgroup")


def free_memory_bytes() -> int:
    """Return the memory this process may still use: the least that the machine or a control group has left."""
    machine = int(psutil.virtual_memory().available)
    return min([machine, *(left for group in _groups() if (left := _left_in(group)) is not None)])


def _groups() -> list[Path]:
    """Return the control groups of this process, innermost first."""
    try:
        own = _OWN_CGROUP.read_text().rpartition("::/")[2].strip()
    except OSError:
        return []
    innermost = _CGROUPS / own
    return [innermost, *(parent for parent in innermost.parents if parent.is_relative_to(_CGROUPS))]


def _left_in(group: Path) -> int | None:
    """Return the memory a control group has left; cached files count as free."""
    allowed, used = _read_number(group / "memory.max"), _read_number(group / "memory.current")
    if allowed is None or used is None:
        return None
    try:
        facts = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        facts = {}
    return max(0, allowed - used + int(facts.get("inactive_file", 0)))


def free_disk_bytes(folder: Path) -> int:
    """Return the free disk space at a folder that may not exist yet."""
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.is_dir())
    return shutil.disk_usage(there).free


def _read_number(file: Path) -> int | None:
    """Return the number in a file; None without a file or limit."""
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None
