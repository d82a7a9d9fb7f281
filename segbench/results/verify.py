"""Checks a stored run as far as that can be done without its data: ids, hashes, and that its arrays can be read."""

from __future__ import annotations

import zipfile
from pathlib import Path

from segbench.config.plan import digest, id_end
from segbench.errors import DamagedRunError, StoreError
from segbench.results.details import DETAILS_FILE, load_details
from segbench.results.matrices import DAMAGE, load_matrices
from segbench.results.record import RunRecord, Status
from segbench.results.scan import CONFUSION_FILE
from segbench.results.store import RECORD_FILE, read_record

MOST_EXPANSION = 200
"""How often larger than its compressed form content may be; label maps, tables and JSON stay below 50."""
SLACK_BYTES = 16 * 2**20
"""Content below this may be of any expansion."""


def verified_record(folder: Path, run_id: str) -> RunRecord:
    """Return the record in a run's folder, once all that can be checked of it holds.

    Args:
        folder: Where the run lies.
        run_id: The id that it has to have.

    Raises:
        DamagedRunError: Something does not hold; says what.
        StoreError: It was written by a newer segbench, or cannot be read.
    """
    record = read_record(folder / RECORD_FILE)
    problem = _wrong_id(record, run_id) or _wrong_hash(record)
    if problem:
        raise DamagedRunError(f"{folder / RECORD_FILE}: {problem}")
    if record.outcome.status is Status.COMPLETED:
        _check_arrays(folder, record)
    return record


def identities(record: RunRecord) -> set[str]:
    """Return the identities that a record's run can have; empty where the record does not tell all that they hold.

    They hold files of weights by their content, sources by theirs, and what the trials of a tuned run chose: of runs
    with any of these, the identity cannot be computed again.
    """
    model, role = record.model, record.tuning.role if record.tuning else None
    if model.pretrained or model.options.get("pretrained") or model.source_digest or role == "tuned":
        return set()
    rest = {"seed": record.seed, "recipe": record.recipe} | ({"role": role} if role else {})
    rest |= {"fold": record.fold.index} if record.fold else {}
    networks = [{"name": model.name, "strict": strict, **model.options} for strict in (True, False)]
    return {digest({"model": network, **rest}) for network in networks}


def _wrong_id(record: RunRecord, run_id: str) -> str | None:
    if record.id != run_id:
        return f"is the record of another run, {record.id!r}; expected {run_id!r}"
    end = f"-{id_end(record.seed, record.fold.index if record.fold else None, record.identity)}"
    return None if run_id.endswith(end) else f"its id is {run_id!r}; by its seed and identity it would end in {end!r}"


def _wrong_hash(record: RunRecord) -> str | None:
    try:
        if digest(record.recipe) != record.protocol_id:
            return f"protocol_id {record.protocol_id[:16]}… is not the hash of its recipe, so one of them was altered"
        known = identities(record)
    except ValueError as error:
        return f"holds a number that JSON does not have: {error}"
    if known and record.identity not in known:
        return f"identity {record.identity[:16]}… is not the hash of its network, recipe and seed: one was altered"
    return None


def _check_arrays(folder: Path, record: RunRecord) -> None:
    """Read a completed run's arrays.

    Raises:
        DamagedRunError: They cannot be read, or are not those of the record.
    """
    try:
        for name in (CONFUSION_FILE, DETAILS_FILE):
            _refuse_bomb(folder / name)
        matrices, details = load_matrices(folder / CONFUSION_FILE), load_details(folder / DETAILS_FILE)
    except StoreError as error:
        raise DamagedRunError(str(error).partition("; delete")[0]) from None
    classes = record.data.classes if record.data else ()
    if matrices.num_classes != len(classes):
        found = f"counts {matrices.num_classes} classes where {RECORD_FILE} names {len(classes)}"
        raise DamagedRunError(f"{folder / CONFUSION_FILE}: {found}")
    if details is not None and details.names != matrices.names:
        raise DamagedRunError(f"{folder / DETAILS_FILE}: tells of other images than {CONFUSION_FILE}")


def _refuse_bomb(file: Path) -> None:
    """Refuse a compressed archive whose content would fill the memory.

    Raises:
        DamagedRunError: Its content is out of all proportion.
    """
    if not file.is_file():
        return
    try:
        with zipfile.ZipFile(file) as archive:
            content = sum(member.file_size for member in archive.infolist())
    except DAMAGE:
        return  # what reads it tells of it
    if content > max(SLACK_BYTES, MOST_EXPANSION * file.stat().st_size):
        raise DamagedRunError(f"{file}: would expand to {content:,} bytes, out of all proportion to its size")
