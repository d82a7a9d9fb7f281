"""Locks a run while it is executed, so that two commands on one results folder never execute it at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from segbench.results.files import storing

LOCKS_FOLDER = ".locks"
"""Hidden folder of a suite's locks; the operating system releases the lock of a process that dies."""


@contextmanager
def lock(folder: Path, name: str) -> Iterator[bool]:
    """Lock a run within the block; yields whether the lock was free.

    Args:
        folder: The suite's folder.
        name: The run's id.

    Raises:
        StoreError: The lock cannot be written.
    """
    file = folder / LOCKS_FOLDER / f"{name}.lock"
    held = FileLock(file)
    with storing(folder):
        file.parent.mkdir(parents=True, exist_ok=True)
        with suppress(Timeout):
            held.acquire(blocking=False)
    try:
        yield held.is_locked
    finally:
        held.release()


def is_locked(folder: Path, name: str) -> bool:
    """Return whether another process, of this or another container or machine, holds the lock of a run."""
    file = folder / LOCKS_FOLDER / f"{name}.lock"
    if not file.is_file():
        return False
    try:
        with FileLock(file, blocking=False):
            return False
    except Timeout:
        return True
