"""How much memory and disk is left for decoded images."""

from __future__ import annotations

import shutil
from pathlib import Path

import psutil

_CGROUPS = Path("/sys/fs/cgroup")
"""Where control groups lie: a container's, or a queue's job's, says how much memory it may use."""
_OWN_CGROUP = Path("/proc/self/cgroup")


def free_memory_bytes() -> int:
    """Return the memory that this process may still use: the least that the machine or a group of its has left."""
    machine = int(psutil.virtual_memory().available)
    return min([machine, *(left for group in _groups() if (left := _left_in(group)) is not None)])


def _groups() -> list[Path]:
    """Return the control groups that this process is in, the innermost first."""
    try:
        own = _OWN_CGROUP.read_text().rpartition("::/")[2].strip()
    except OSError:
        return []
    innermost = _CGROUPS / own
    return [innermost, *(parent for parent in innermost.parents if parent.is_relative_to(_CGROUPS))]


def _left_in(group: Path) -> int | None:
    """Return what a control group has left; files that were read count as used, but are given up when needed."""
    allowed, used = _read_number(group / "memory.max"), _read_number(group / "memory.current")
    if allowed is None or used is None:
        return None
    try:
        facts = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        facts = {}
    return max(0, allowed - used + int(facts.get("inactive_file", 0)))


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
