"""The store of one suite's runs: one folder per run, written atomically."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from segbench.errors import DamagedRunError, StoreError
from segbench.results.atomic_replace import Leftover, finish_swap, leftovers, remove, swap, sweep
from segbench.results.damage import damage_of
from segbench.results.files import checked_name, flush_to_disk, replace_text, storing, temporary_path
from segbench.results.hashes import EDITED, wrong_hash
from segbench.results.record import SCHEMA_VERSION, RunRecord
from segbench.results.run_files import CHECKSUMS, RECORD_FILE, WEIGHTS_FILE, checksums_of, record_digest
from segbench.results.run_lock import is_locked, lock
from segbench.results.training_states import StateFolder
from segbench.results.wording import newer_schema

SUITE_FILE = "suite.yaml"
LOCK_FILE = "suite.lock.json"
STATES_SUFFIX = ".resume"
"""Suffix of the hidden folder of a run's training states."""

UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: dict}
"""By schema version: the function that upgrades a record to the next version. Version 2 changed no record."""

_log = logging.getLogger(__name__)


class Store:
    """The runs of one suite under ``root/<suite>/<run-id>/``.

    Attributes:
        folder: The suite's folder; created by the first write.
    """

    def __init__(self, root: Path, suite: str) -> None:
        self.folder = root / checked_name(suite, "suite")

    def folder_of(self, run_id: str) -> Path:
        """Return the folder of a run, whether it exists or not.

        Raises:
            StoreError: The id could lead out of the suite's folder.
        """
        return self.folder / checked_name(run_id, "run")

    def states_of(self, run_id: str) -> StateFolder:
        """Return the folder of a run's training states.

        Raises:
            StoreError: The id could lead out of the suite's folder.
        """
        return StateFolder(self.folder / f".{checked_name(run_id, 'run')}{STATES_SUFFIX}")

    def weights_of(self, run_id: str) -> Path:
        """Return the file of a run's trained network, whether it exists or not.

        Raises:
            StoreError: The id could lead out of the suite's folder.
        """
        folder = self.folder_of(run_id)
        return (readable_folder(folder) or folder) / WEIGHTS_FILE

    def find(self, run_id: str, identity: str | None = None) -> RunRecord | None:
        """Return a stored run; None if there is none, or if it is unusable, which is logged with its path.

        Args:
            run_id: The folder's name; contains only the start of the run's identity.
            identity: The full identity. A run with another identity, or a damaged run, counts as not done.

        Raises:
            StoreError: The run was written by a newer segbench, or cannot be accessed.
        """
        folder = readable_folder(self.folder_of(run_id))
        return None if folder is None else _usable(folder, run_id, identity)

    def find_all(self, identities: Mapping[str, str]) -> dict[str, RunRecord]:
        """Like ``find`` for many runs, by id; lists interrupted swaps only once.

        Args:
            identities: The full identity of each run, by its id.

        Raises:
            StoreError: A run was written by a newer segbench, or cannot be accessed.
        """
        if not self.folder.is_dir():
            return {}
        held = leftovers(self.folder)
        folders = {run_id: readable_folder(self.folder_of(run_id), held) for run_id in identities}
        found = {
            run_id: _usable(folder, run_id, identities[run_id])
            for run_id, folder in folders.items()
            if folder is not None
        }
        return {run_id: record for run_id, record in found.items() if record is not None}

    def locking(self, run_id: str) -> AbstractContextManager[bool]:
        """Lock a run while it is executed; the context's value is False if another command is executing it.

        Raises:
            StoreError: The folder cannot be written.
        """
        return lock(self.folder, checked_name(run_id, "run"))

    @contextmanager
    def writing(self, run_id: str) -> Iterator[Path]:
        """Yield an empty folder to write a run into; it replaces the stored run if the block succeeds.

        If the process dies at any time, either the previous or the new run is kept. During the swap both exist under
        temporary names, which ``find`` and ``clean`` know.

        Raises:
            StoreError: The disk is full or read-only; the previous run is kept.
        """
        target = self.folder_of(run_id)
        new, old = temporary_path(target, "tmp"), temporary_path(target, "old")
        with storing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            remove(new)
            new.mkdir()
            try:
                yield new
                flush_to_disk(new)
                swap(new, target, old=old)
            finally:
                remove(new)
        if target.exists():
            remove(old)

    def write_suite(self, suite_text: str, plan_lock: Mapping[str, Any]) -> None:
        """Store the suite and its plan.

        Raises:
            StoreError: They cannot be written.
        """
        replace_text(self.folder / SUITE_FILE, suite_text)
        replace_text(self.folder / LOCK_FILE, json.dumps(plan_lock, indent=2, ensure_ascii=False) + "\n")

    def clean(self) -> list[Path]:
        """Finish interrupted swaps and remove files of dead processes; return what was removed.

        Files of other machines are removed if they have not changed for a week.

        Raises:
            StoreError: The folder cannot be written.
        """
        with storing(self.folder):
            dead = [leftover for leftover in leftovers(self.folder) if not leftover.in_use()]
            for leftover in dead:
                if leftover.replaced:
                    finish_swap(leftover)
            removed = [leftover.path for leftover in dead if leftover.path.exists()]
            for path in removed:
                remove(path)
            for run_id in self.saved():
                if not is_locked(self.folder, run_id):
                    sweep(self.states_of(run_id).folder)
        return removed

    def saved(self) -> list[str]:
        """Return the ids of the runs with training states, sorted."""
        if not self.folder.is_dir():
            return []
        named = (path.name for path in self.folder.iterdir() if path.name.startswith(".") and path.is_dir())
        return sorted(name[1:].removesuffix(STATES_SUFFIX) for name in named if name.endswith(STATES_SUFFIX))

    def stale(self, run_ids: Collection[str]) -> list[RunRecord]:
        """Return the stored runs that are not in ``run_ids``: results of earlier versions of the suite."""
        if not self.folder.is_dir():
            return []
        named = set(run_ids)
        others = sorted(path for path in self.folder.iterdir() if _is_run(path) and path.name not in named)
        records = []
        for folder in others:
            try:
                records.append(read_record(folder / RECORD_FILE))
            except StoreError as error:
                _log.warning("%s", error)
        return records


def write_record(folder: Path, record: RunRecord) -> RunRecord:
    """Write ``run.json``, with the checksums of all files beside it; NaN and infinity, which JSON lacks, become null.

    Returns:
        The record as it is stored.

    Raises:
        StoreError: It cannot be written.
    """
    # a traceback may contain bytes of a file name that are not valid UTF-8; they are escaped
    plain = RunRecord.model_validate(_spell_out(record.model_dump()))
    document = json.loads(plain.model_dump_json())
    with storing(folder):
        document[CHECKSUMS] = {**checksums_of(folder), RECORD_FILE: record_digest(document)}
    replace_text(folder / RECORD_FILE, json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    return RunRecord.model_validate(document)


def read_record(file: Path) -> RunRecord:
    """Read a ``run.json`` of this or an earlier schema version and verify its hashes.

    Raises:
        DamagedRunError: The file is missing, invalid or incomplete, or its hashes do not match its recipe, network or
            seed.
        StoreError: The file was written by a newer segbench, cannot be upgraded, or cannot be read.
    """
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(document, dict):
            raise ValueError("it is no JSON object")
        version = document["schema_version"]
        if type(version) is not int or version < 1:
            raise ValueError(f"schema_version is {version!r}")
        record = RunRecord.model_validate(_upgrade(document, version, file))
        if (problem := wrong_hash(record) or _edited(document)) is not None:
            raise DamagedRunError(f"{file}: {problem}")
    except FileNotFoundError:
        raise DamagedRunError(f"{file}: is missing") from None
    except OSError as error:
        raise StoreError(f"{file}: cannot be read: {error.strerror or error}") from error
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise DamagedRunError(f"{file}: is damaged: {_one_line(error)}") from error
    return record


def readable_folder(target: Path, among: Sequence[Leftover] | None = None) -> Path | None:
    """Return the folder to read a run from: its own or, during a swap, that of the run being replaced.

    Args:
        target: The run's folder.
        among: The leftovers beside it, if known.
    """
    if target.is_dir():
        return target
    items = leftovers(target.parent) if among is None else among
    held = [item for item in items if item.replaced and item.name == target.name]
    return max(held, key=lambda item: item.path.stat().st_mtime).path if held else None


def _usable(folder: Path, run_id: str, identity: str | None) -> RunRecord | None:
    """Return the record in a folder; None if it is unusable, which is logged."""
    try:
        record = read_record(folder / RECORD_FILE)
        if record.id != run_id or identity not in (None, record.identity):
            what = f"{record.id!r} of identity {record.identity[:16]}…"
            raise DamagedRunError(f"{folder / RECORD_FILE}: is the record of another run, {what}")
        if (problem := damage_of(folder, record)) is not None:
            raise DamagedRunError(problem)
    except DamagedRunError as error:
        _log.warning("%s; the run counts as not done", error)
        return None
    return record


def _upgrade(document: dict[str, Any], version: int, file: Path) -> dict[str, Any]:
    if problem := newer_schema(document, SCHEMA_VERSION):
        raise StoreError(f"{file}: {problem}, or choose another results folder")
    for step in range(version, SCHEMA_VERSION):
        if step not in UPGRADES:
            raise StoreError(f"{file}: schema {version} can no longer be read; use the segbench that wrote it")
        document = UPGRADES[step](document)
    return document | {"schema_version": SCHEMA_VERSION}


def _edited(document: Mapping[str, Any]) -> str | None:
    """Return whether the document of a record was changed after it was written; None if not, or if it has no checksum.

    Raises:
        ValueError: The document holds NaN or infinity, which JSON lacks.
    """
    checksums = document.get(CHECKSUMS)
    known = checksums.get(RECORD_FILE) if isinstance(checksums, Mapping) else None
    same = known is None or known == record_digest(document)
    return None if same else EDITED


def _is_run(path: Path) -> bool:
    return not path.name.startswith(".") and (path / RECORD_FILE).is_file()


def _spell_out(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, Mapping):
        return {_spell_out(key): _spell_out(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_spell_out(item) for item in value]
    return value


def _one_line(error: Exception) -> str:
    text = f"lacks {error}" if isinstance(error, KeyError) else str(error)
    return " ".join(text.split())[:300]
