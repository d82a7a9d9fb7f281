"""Replaces a folder by another one; if the process dies at any time, one of the two can be recovered."""

from __future__ import annotations

import os
import re
import shutil
import time
from pathlib import Path
from typing import NamedTuple

import psutil

from segbench.errors import StoreError
from segbench.results.files import host_mark
from segbench.results.run_lock import is_locked, lock_file

_CLOCK_SLACK_SECONDS = 60
FOREIGN_SECONDS = 7 * 24 * 3600
"""Seconds after its last change for which a file of another machine counts as in use."""
_UNLOCKED_SECONDS = 3600
_ATTEMPTS = 10


class Leftover(NamedTuple):
    """A temporary file or folder, as ``temporary_path`` names it.

    Attributes:
        path: Its path.
        name: The name of the file or folder that it belongs to.
        host: Hash of the machine and container that created it; empty for this one.
        pid: The process that created it.
        replaced: Whether it is the old content (``.old``) rather than the new one (``.tmp``).
    """

    path: Path
    name: str
    host: str
    pid: int
    replaced: bool

    @classmethod
    def parse(cls, path: Path) -> Leftover | None:
        """Parse the name of a path; None if it is no temporary file or folder."""
        match = re.fullmatch(r"\.(.+)\.(?:([0-9a-f]{8})-)?([0-9]{1,9})\.(tmp|old)", path.name)
        return cls(path, match[1], match[2] or "", int(match[3]), match[4] == "old") if match else None

    def in_use(self) -> bool:
        """Return whether the process that created it still runs; a later process with the same number does not count.

        Processes of other machines and containers cannot be seen, nor those before this machine's last start. They
        count as running while they hold the lock of the run, and after the last change for an hour if they had locked
        it, else for a week.
        """
        try:
            if self.host != host_mark() and is_locked(self.path.parent, self.name):
                return True
            if self.host not in ("", host_mark()):
                return time.time() - max(map(_touched, (self.path, *_children(self.path)))) < self._foreign_seconds()
            process = psutil.Process(self.pid)
            began = process.create_time()
            return process.status() != psutil.STATUS_ZOMBIE and began <= _touched(self.path) + _CLOCK_SLACK_SECONDS
        except (psutil.NoSuchProcess, FileNotFoundError):
            return False
        except psutil.AccessDenied:
            return True

    def _foreign_seconds(self) -> float:
        return _UNLOCKED_SECONDS if lock_file(self.path.parent, self.name).is_file() else FOREIGN_SECONDS


def leftovers(folder: Path) -> list[Leftover]:
    """Return the temporary files and folders directly below a folder, sorted by name."""
    if not folder.is_dir():
        return []
    hidden = sorted(name for name in os.listdir(folder) if name[0] == ".")  # noqa: PTH208 - a Path for each run is slow
    return [leftover for name in hidden if (leftover := Leftover.parse(folder / name)) is not None]


def sweep(folder: Path) -> None:
    """Remove the temporary files and folders of dead processes directly below a folder."""
    for leftover in leftovers(folder):
        if not leftover.in_use():
            remove(leftover.path)


def swap(new: Path, target: Path, *, old: Path) -> None:
    """Replace ``target`` by ``new``; another process may do the same at the same time."""
    for _ in range(_ATTEMPTS):
        if target.exists():
            remove(old)
            try:
                target.rename(old)
            except FileNotFoundError:
                continue
        try:
            new.rename(target)
        except OSError:
            if not target.exists():
                if old.exists():
                    old.rename(target)
                raise
        else:
            return
    raise StoreError(f"{target}: another process keeps writing this run; let one of them finish")


def finish_swap(replaced: Leftover) -> None:
    """Finish the interrupted swap of a run: install the new folder if it is complete, else restore the old one."""
    target = replaced.path.with_name(replaced.name)
    if target.exists():
        return
    new = replaced.path.with_suffix(".tmp")
    (new if new.is_dir() else replaced.path).rename(target)


def _touched(path: Path) -> float:
    facts = path.stat()
    return max(facts.st_mtime, facts.st_ctime)  # a rename changes only the second


def _children(path: Path) -> list[Path]:
    return list(path.iterdir()) if path.is_dir() else []


def remove(path: Path) -> None:
    """Remove a file or a folder with its content, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
