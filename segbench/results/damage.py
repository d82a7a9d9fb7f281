"""Detects files of a stored run that were cut, exchanged, edited or lost."""

from __future__ import annotations

from pathlib import Path

from segbench.config.files import read_digest
from segbench.errors import StoreError
from segbench.results.record import RunRecord, Status
from segbench.results.run_files import CONFUSION_FILE, RECORD_FILE, SCORED_FILES


def damage_of(folder: Path, record: RunRecord, *, every_file: bool = False) -> str | None:
    """Return what is wrong with the files beside a run's record; None if nothing is.

    Args:
        folder: The run's folder.
        record: Its record. One without checksums is of an earlier version: its matrices only have to be readable.
        every_file: Whether to read all files, as the trained weights, and not only those that tables are made from.
    """
    known = record.checksums or {}
    if problem := _unsealed(folder, record):
        return problem
    names = known.keys() - {RECORD_FILE} if every_file else known.keys() & set(SCORED_FILES)
    for name in sorted(names):
        if problem := _changed(folder / name, known[name], needed=name in SCORED_FILES):
            return problem
    unknown = record.outcome.status is Status.COMPLETED and CONFUSION_FILE not in known
    return _unreadable(folder / CONFUSION_FILE) if unknown else None


def _unsealed(folder: Path, record: RunRecord) -> str | None:
    """Return which file has no checksum in a record that has those of others: somebody removed it."""
    if record.checksums is None:
        return None
    stored = [RECORD_FILE, *(name for name in SCORED_FILES if (folder / name).exists())]
    missing = [name for name in stored if name not in record.checksums]
    return f"{folder / missing[0]}: has no checksum in {RECORD_FILE}, where other files have" if missing else None


def _unreadable(file: Path) -> str | None:
    from segbench.results.arrays.matrices import load_matrices  # imports numpy

    try:
        load_matrices(file)
    except StoreError as error:
        return str(error).partition("; delete")[0]
    return None


def _changed(file: Path, sha256: str, *, needed: bool) -> str | None:
    try:
        found = read_digest(file)
    except FileNotFoundError:
        return f"{file}: is missing" if needed else None
    except OSError as error:
        return f"{file}: cannot be read: {error.strerror or error}"
    return None if found == sha256 else f"{file}: is damaged: it was changed after it was written, by its checksum"
