"""Finds stored runs in given folders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from segbench.errors import StoreError
from segbench.results.arrays.gallery import GALLERY_FOLDER
from segbench.results.atomic_replace import leftovers
from segbench.results.record import RunRecord
from segbench.results.run_files import CONFUSION_FILE, HISTORY_FILE, RECORD_FILE
from segbench.results.store import read_record

_RUN_FILES = (RECORD_FILE, CONFUSION_FILE, HISTORY_FILE)
_LEVELS_BELOW_ROOT = 2


@dataclass(frozen=True)
class FoundRun:
    """A stored run.

    Attributes:
        folder: Its folder.
        record: Its ``run.json``; None if it cannot be read.
        problem: Why the record cannot be read.
    """

    folder: Path
    record: RunRecord | None
    problem: str | None = None


def scan(*folders: str | Path) -> list[FoundRun]:
    """Return the runs in results roots, suite folders or run folders, without duplicates, ordered by path.

    Unreadable runs are returned with the reason.

    Raises:
        StoreError: A folder does not exist or cannot be listed.
    """
    found: dict[Path, FoundRun] = {}
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise StoreError(f"{folder}: there is no such folder; expected results written by 'segbench run'")
        try:
            for run in _run_folders(folder, _LEVELS_BELOW_ROOT):
                found.setdefault(run.resolve(), _read(run))
        except OSError as error:
            raise StoreError(f"{error.filename or folder}: cannot be listed: {error.strerror or error}") from error
    return list(found.values())


def _run_folders(folder: Path, levels: int) -> Iterator[Path]:
    if any((folder / name).is_file() for name in _RUN_FILES):
        yield folder
    elif levels:
        for child in sorted(folder.iterdir()):
            if child.is_dir() and not child.name.startswith("."):
                yield from _run_folders(child, levels - 1)
        yield from _interrupted_swaps(folder)


def _interrupted_swaps(folder: Path) -> Iterator[Path]:
    """Yield the runs whose replacement was interrupted."""
    for leftover in leftovers(folder):
        if leftover.replaced and leftover.name != GALLERY_FOLDER and not (folder / leftover.name).exists():
            yield leftover.path


def _read(folder: Path) -> FoundRun:
    try:
        return FoundRun(folder, read_record(folder / RECORD_FILE))
    except StoreError as error:
        return FoundRun(folder, None, str(error))
