"""Verifies a stored run without its data: ids, hashes, and that its arrays can be read."""

from __future__ import annotations

import zipfile
from pathlib import Path

from segbench.config.titles import id_end, id_start
from segbench.errors import DamagedRunError, StoreError
from segbench.results.arrays.consistency import contradiction
from segbench.results.arrays.details import load_details
from segbench.results.arrays.matrices import DAMAGE, load_matrices
from segbench.results.damage import damage_of
from segbench.results.record import RunRecord, Status
from segbench.results.run_files import CONFUSION_FILE, DETAILS_FILE, RECORD_FILE
from segbench.results.store import read_record

MOST_EXPANSION = 200
"""Largest accepted compression ratio; label maps, tables and JSON stay below 50."""
SLACK_BYTES = 16 * 2**20
"""Below this many bytes, any compression ratio is accepted."""


def verified_record(folder: Path, run_id: str, *, every_file: bool = True) -> RunRecord:
    """Return the record in a run's folder after verifying the run.

    Args:
        folder: The run's folder.
        run_id: The expected id.
        every_file: Whether to read all files, as the trained weights, and not only those that tables are made from.

    Raises:
        DamagedRunError: A check failed, including the hashes that ``read_record`` verifies; says which.
        StoreError: The run was written by a newer segbench, or cannot be read.
    """
    record = read_record(folder / RECORD_FILE)
    if problem := _wrong_id(record, run_id):
        raise DamagedRunError(f"{folder / RECORD_FILE}: {problem}")
    for name in (CONFUSION_FILE, DETAILS_FILE):
        refuse_bomb(folder / name)
    if problem := damage_of(folder, record, every_file=every_file):
        raise DamagedRunError(problem)
    if record.outcome.status is Status.COMPLETED:
        _check_arrays(folder, record)
    return record


def _wrong_id(record: RunRecord, run_id: str) -> str | None:
    if record.id != run_id:
        return f"is the record of another run, {record.id!r}; expected {run_id!r}"
    end = f"-{id_end(record.seed, record.fold.index if record.fold else None, record.identity)}"
    if not run_id.endswith(end):
        return f"its id is {run_id!r}; by its seed and identity it would end in {end!r}"
    if not id_start(record.label).startswith(run_id.removesuffix(end)):  # of a grid's networks, values follow the label
        return f"its id is {run_id!r}, but its label {record.label!r}, by which it would begin otherwise"
    return None


def _check_arrays(folder: Path, record: RunRecord) -> None:
    """Check a completed run's arrays.

    Raises:
        DamagedRunError: They cannot be read, or do not match the record.
    """
    try:
        matrices, details = load_matrices(folder / CONFUSION_FILE), load_details(folder / DETAILS_FILE)
    except StoreError as error:
        raise DamagedRunError(str(error).partition("; delete")[0]) from None
    classes = record.data.classes if record.data else ()
    if matrices.num_classes != len(classes):
        found = f"counts {matrices.num_classes} classes where {RECORD_FILE} names {len(classes)}"
        raise DamagedRunError(f"{folder / CONFUSION_FILE}: {found}")
    if details is not None and (problem := contradiction(details, matrices)) is not None:
        raise DamagedRunError(f"{folder / DETAILS_FILE}: {problem}")


def refuse_bomb(file: Path) -> None:
    """Refuse a compressed archive that would fill the memory.

    Raises:
        DamagedRunError: The compression ratio is implausible.
    """
    if not file.is_file():
        return
    try:
        with zipfile.ZipFile(file) as archive:
            content = sum(member.file_size for member in archive.infolist())
    except DAMAGE:
        return  # reading it reports the error
    if content > max(SLACK_BYTES, MOST_EXPANSION * file.stat().st_size):
        raise DamagedRunError(f"{file}: would expand to {content:,} bytes, out of all proportion to its size")
