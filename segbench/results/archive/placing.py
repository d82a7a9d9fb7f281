"""Places an unpacked run into a results folder; only damaged or failed runs are replaced."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from segbench.config.files import read_digest
from segbench.errors import DamagedRunError, StoreError
from segbench.results.archive.manifest import PackedFile, PackedRun
from segbench.results.archive.members import Kind
from segbench.results.archive.unpack import Unpacked
from segbench.results.arrays.matrices import load_matrices
from segbench.results.atomic_replace import remove
from segbench.results.files import flush_to_disk, storing, temporary_path
from segbench.results.record import RunRecord, Status
from segbench.results.run_files import CONFUSION_FILE, RECORD_FILE
from segbench.results.store import Store, read_record, readable_folder
from segbench.results.training_states import StateFile
from segbench.results.verify import verified_record


class Fate(StrEnum):
    """What a merge did with an item of an archive."""

    ADDED = "added"
    SAME = "there already"
    EXTENDED = "extended"
    """The run existed; missing files, such as predictions, were added."""
    REPLACED = "replaced"
    """It replaced a run that was damaged or had no result."""
    KEPT = "kept"
    """The existing item is kept; the archive holds nothing more."""
    CONFLICT = "conflict"
    """The existing item is kept; the archive holds a different result."""


class VoidRow(StrEnum):
    """Which of two files with equal matrices has a void row."""

    HERE = "here"
    THERE = "in the archive"


class Side(NamedTuple):
    """One of two results of the same run.

    Attributes:
        record: Its record.
        confusion: (C, C) int64 confusion matrix over all images.
    """

    record: RunRecord
    confusion: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Placed:
    """Outcome of placing a run, a speed record, a gallery or a suite's own files.

    Attributes:
        name: ``<suite>/…``.
        kind: What it is.
        fate: What was done with it.
        note: The reason, if it is not obvious.
        here: For a conflict: the existing run.
        there: For a conflict: the archive's run.
    """

    name: str
    kind: Kind
    fate: Fate
    note: str = ""
    here: Side | None = None
    there: Side | None = None


def place_run(unpacked: Unpacked, run: PackedRun, store: Store) -> Placed:
    """Place a run into a suite's folder.

    Args:
        unpacked: The verified archive.
        run: One of its runs.
        store: The suite's store.

    Raises:
        StoreError: The run cannot be written; the existing run is kept.
    """
    files = unpacked.manifest.by_folder[run.folder]
    staged, here = unpacked.folder / run.folder, readable_folder(store.folder_of(run.id))
    record = read_record(staged / RECORD_FILE)
    if here is None:
        _install(staged, run.id, store)
        return Placed(run.folder, Kind.RUN, Fate.ADDED)
    try:
        known = verified_record(here, run.id)
    except DamagedRunError as error:
        _install(staged, run.id, store)
        return Placed(run.folder, Kind.RUN, Fate.REPLACED, f"what was there is damaged: {error}")
    except StoreError as error:
        return Placed(run.folder, Kind.RUN, Fate.CONFLICT, str(error))
    missing = [file for file in files if not (here / file.member.inner).exists()]
    common = [file for file in files if file not in missing]
    differing = [file.member.inner for file in common if not is_same(here / file.member.inner, file)]
    void = _void_row(staged / CONFUSION_FILE, here / CONFUSION_FILE) if differing == [CONFUSION_FILE] else None
    if not differing or void is not None:
        extended = _extend(staged, here, missing, run)
        return _with_void_row(extended, staged, here) if void is VoidRow.THERE else extended
    fate = _fate(known.outcome.status, record.outcome.status)
    if fate is Fate.CONFLICT:
        note = f"other {', '.join(differing)}"
        return Placed(run.folder, Kind.RUN, fate, note, _side(known, here), _side(record, staged))
    if fate is Fate.REPLACED:
        _install(staged, run.id, store)
    note = f"{known.outcome.status} here, {record.outcome.status} in the archive"
    return Placed(run.folder, Kind.RUN, fate, note)


def _void_row(staged: Path, here: Path) -> VoidRow | None:
    """Return which file has a void row that the other lacks; None if the files differ in more than that."""
    there, known = load_matrices(staged), load_matrices(here)
    if there.names != known.names or not np.array_equal(there.matrices, known.matrices):
        return None
    has_it = known.void_predicted is not None, there.void_predicted is not None
    return {(True, False): VoidRow.HERE, (False, True): VoidRow.THERE}.get(has_it)


def _with_void_row(placed: Placed, staged: Path, here: Path) -> Placed:
    """Replace the matrices by the archive's, which also have a void row."""
    file = here / CONFUSION_FILE
    temporary = temporary_path(file)
    with storing(here):
        shutil.copyfile(staged / CONFUSION_FILE, temporary)
        flush_to_disk(temporary)
        temporary.replace(file)
    note = f"{placed.note} and its void row" if placed.note else "with its void row"
    return replace(placed, fate=Fate.EXTENDED, note=note)


def _fate(here: Status, there: Status) -> Fate:
    """Decide between two different runs with one id: only a run without a result is replaced, and only by a result."""
    if there is not Status.COMPLETED:
        return Fate.KEPT
    return Fate.CONFLICT if here is Status.COMPLETED else Fate.REPLACED


def _extend(staged: Path, here: Path, missing: Sequence[PackedFile], run: PackedRun) -> Placed:
    """Atomically add each missing file to a run that is otherwise equal."""
    if not missing:
        return Placed(run.folder, Kind.RUN, Fate.SAME)
    with storing(here):
        for file in missing:
            move(staged / file.member.inner, here / file.member.inner)
    names = sorted({file.member.inner.partition("/")[0] for file in missing})
    return Placed(run.folder, Kind.RUN, Fate.EXTENDED, f"with {', '.join(names)}")


def place_state(staged: Path, file: PackedFile, store: Store) -> Placed:
    """Add the training state of an unfinished run, unless the run is done here or has reached that step.

    Raises:
        StoreError: It cannot be written.
    """
    member = file.member
    name, states = f"{member.suite}/{member.owner} (states)", store.states_of(member.owner)
    state = StateFile.parse(staged)
    assert state is not None, "only states have such names in a manifest"
    record = store.find(member.owner)
    if record is not None and record.outcome.status is Status.COMPLETED:
        return Placed(name, Kind.STATES, Fate.KEPT, "the run is done here")
    newest = next((one for one in states.files() if one.intact), None)
    if newest is not None and newest.step >= state.step:
        fate = Fate.SAME if newest.digest == state.digest else Fate.KEPT
        return Placed(name, Kind.STATES, fate, f"step {newest.step} here, {state.step} in the archive")
    with states.writing(state.step) as target:
        shutil.copyfile(staged, target)
    return Placed(name, Kind.STATES, Fate.ADDED, f"step {state.step}")


def is_same(file: Path, packed: PackedFile) -> bool:
    """Return whether a file has the same content as one in an archive."""
    return file.is_file() and file.stat().st_size == packed.size and read_digest(file) == packed.sha256


def move(staged: Path, target: Path) -> None:
    """Atomically move a file or a folder, also to another disk; creates the parent folder."""
    temporary = temporary_path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    remove(temporary)
    try:
        shutil.move(staged, temporary)
        flush_to_disk(temporary)
        temporary.rename(target)
    finally:
        remove(temporary)


def _install(staged: Path, run_id: str, store: Store) -> None:
    """Atomically move a run into its folder."""
    with store.writing(run_id) as folder:
        for path in sorted(staged.iterdir()):
            shutil.move(path, folder / path.name)


def _side(record: RunRecord, folder: Path) -> Side:
    return Side(record, load_matrices(folder / CONFUSION_FILE).total)
