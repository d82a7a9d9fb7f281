"""Locks a run while it is executed, so that two commands on one results folder never execute it at once."""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from segbench.results.files import storing

LOCKS_FOLDER = ".locks"
"""Hidden folder of a suite's locks; the operating system releases the lock of a process that dies."""

_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EMFILE, errno.ENFILE})
"""Errors of file systems without locks, and of a process with too many open files."""

_log = logging.getLogger(__name__)


@contextmanager
def lock(folder: Path, name: str) -> Iterator[bool]:
    """Lock a run within the block; yields whether the lock was free.

    Args:
        folder: The suite's folder.
        name: The run's id.

    Raises:
        StoreError: The lock cannot be written.
    """
    with storing(folder):
        (folder / LOCKS_FOLDER).mkdir(parents=True, exist_ok=True)
    with lock_by(lock_file(folder, name)) as free:
        yield free


@contextmanager
def lock_by(file: Path) -> Iterator[bool]:
    """Lock a file within the block, which is created if needed and stays; yields whether the lock was free.

    Where the file system has no locks, this yields True and logs it: two commands may then do the same at once.

    Raises:
        StoreError: The lock cannot be written.
    """
    held = FileLock(file)
    with storing(file.parent):
        free = _acquire(held)
    try:
        yield free
    finally:
        held.release()


def lock_file(folder: Path, name: str) -> Path:
    """Return the file by which a run is locked; it stays when the lock is released."""
    return folder / LOCKS_FOLDER / f"{name}.lock"


def is_locked(folder: Path, name: str) -> bool:
    """Return whether another process, of this or another container or machine, holds the lock of a run."""
    file = lock_file(folder, name)
    if not file.is_file():
        return False
    try:
        with FileLock(file, blocking=False):
            return False
    except (Timeout, PermissionError):  # another person's lock cannot be tried
        return True
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        return False


def _acquire(held: FileLock) -> bool:
    try:
        held.acquire(blocking=False)
    except Timeout:
        return False
    except NotImplementedError:  # filelock's word for a file system without flock
        _tell_unlocked(held, "not supported")
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        _tell_unlocked(held, error.strerror)
    return True


def _tell_unlocked(held: FileLock, reason: str | None) -> None:
    _log.warning("%s: cannot be locked (%s); let no other command do the same at once", held.lock_file, reason)
