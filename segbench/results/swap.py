"""Swapping one folder for another so that, whenever the process dies, one of the two can be found again."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import NamedTuple

import psutil

from segbench.errors import StoreError

_CLOCK_SLACK_SECONDS = 60
_ATTEMPTS = 10


class Leftover(NamedTuple):
    """A temporary file or folder: ``.<name>.<pid>.tmp`` is being written, ``.<name>.<pid>.old`` is being replaced."""

    path: Path
    name: str
    pid: int
    replaced: bool

    @classmethod
    def parse(cls, path: Path) -> Leftover | None:
        """Return what a path's name says, or None for a path that is no temporary."""
        match = re.fullmatch(r"\.(.+)\.([0-9]{1,9})\.(tmp|old)", path.name)
        return cls(path, match[1], int(match[2]), match[3] == "old") if match else None

    def in_use(self) -> bool:
        """Tell whether the process that made it still runs (a later one with the same number does not count)."""
        if not psutil.pid_exists(self.pid):
            return False
        try:
            process = psutil.Process(self.pid)
            began = process.create_time()
            facts = self.path.stat()
            touched = max(facts.st_mtime, facts.st_ctime)  # a rename shows only in the second
            return process.status() != psutil.STATUS_ZOMBIE and began <= touched + _CLOCK_SLACK_SECONDS
        except (psutil.NoSuchProcess, FileNotFoundError):
            return False
        except psutil.AccessDenied:
            return True


def leftovers(folder: Path) -> list[Leftover]:
    """Return the temporary files and folders directly below a folder, in order of their names."""
    if not folder.is_dir():
        return []
    parsed = [Leftover.parse(path) for path in sorted(folder.iterdir())]
    return [leftover for leftover in parsed if leftover is not None]


def swap(new: Path, target: Path, *, old: Path) -> None:
    """Put ``new`` in the place of ``target``; another process may be doing the same."""
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
    """Give a run whose swap was interrupted its folder back: the new one, which was whole by then, or the old."""
    target = replaced.path.with_name(replaced.name)
    if target.exists():
        return
    new = replaced.path.with_suffix(".tmp")
    (new if new.is_dir() else replaced.path).rename(target)


def remove(path: Path) -> None:
    """Remove a file or a folder with all in it; nothing happens when there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
