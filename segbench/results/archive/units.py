"""Selects the files of a suite to pack, in units that are never divided between archives."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from segbench.errors import StoreError
from segbench.results.archive.container import Source
from segbench.results.archive.further_tests import FURTHER_TESTS, packed_files, verified_test
from segbench.results.archive.inventory import held_runs
from segbench.results.archive.manifest import PackedRun
from segbench.results.archive.members import is_run_file, is_safe
from segbench.results.arrays.gallery import find_galleries
from segbench.results.data_checks import CHECKS_FILE
from segbench.results.files import checked_name
from segbench.results.record import RunRecord
from segbench.results.run_files import PREDICTIONS_FILE, RECORD_FILE, SAMPLES_FOLDER
from segbench.results.speed.store import SPEED_FOLDER, read_speed
from segbench.results.store import LOCK_FILE, SUITE_FILE
from segbench.results.training_states import StateFolder

_SMALL_BYTES = 10**6
"""Speed records are packed together up to this size, because they compress well together."""


class Extra(StrEnum):
    """What is packed besides facts."""

    PREDICTIONS = "predictions"
    """The predictions of all test images, and the sample pictures."""
    STATES = "states"
    """The newest training state of each unfinished run, so that it can be resumed elsewhere."""


@dataclass(frozen=True)
class Unit:
    """Files that stay together in one archive.

    Attributes:
        name: Its name in messages.
        sources: Its files.
        run: The run; None for other units.
        folder: Its folder, if rewriting replaces the folder as a whole.
        bulky: Whether most of the content does not compress.
        checksums: The known SHA-256 of files by their paths in the folder.
    """

    name: str
    sources: tuple[Source, ...]
    run: PackedRun | None = None
    folder: Path | None = None
    bulky: bool = False
    checksums: Mapping[str, str] = field(default_factory=dict)


def units_of(suite: Path, extras: Collection[Extra], max_bytes: int | None, problems: list[str]) -> Iterator[Unit]:
    """Yield the units of a suite.

    Args:
        suite: The suite's folder.
        extras: What to pack besides facts.
        max_bytes: Largest size of an archive in bytes.
        problems: List to which damaged items are added.

    Raises:
        StoreError: The folder cannot be listed, or its name is not allowed in archives.
    """
    name = checked_name(suite.absolute().name, "suite")
    own = [file for file in (SUITE_FILE, LOCK_FILE, CHECKS_FILE) if (suite / file).is_file()]
    if own:
        yield Unit(f"{name}: the suite", tuple(Source(f"{name}/{file}", suite / file) for file in own))
    for run in held_runs(suite):
        if run.problem:
            problems.append(run.problem)
        elif run.folder and run.record:
            yield _run_unit(name, run.folder, run.record, extras)
        if run.states and not run.completed and Extra.STATES in extras:
            yield from _states_unit(name, run.id, run.states, problems)
    yield from _retest_units(name, suite, problems)
    yield from _speed_units(name, suite, max_bytes, problems)
    for gallery in find_galleries(suite):
        files = sorted(file for file in gallery.iterdir() if file.is_file() and is_safe(file.name))
        place = f"{name}/{gallery.relative_to(suite).as_posix()}"
        yield Unit(place, tuple(Source(f"{place}/{file.name}", file) for file in files), bulky=True)


def _run_unit(suite: str, folder: Path, record: RunRecord, extras: Collection[Extra]) -> Unit:
    place = f"{suite}/{record.id}"
    inner = {file: file.relative_to(folder).parts for file in sorted(folder.rglob("*")) if file.is_file()}
    chosen = [file for file, parts in inner.items() if _is_packed(parts, extras)]
    return Unit(
        place,
        tuple(Source("/".join((place, *inner[file])), file) for file in chosen),
        run=PackedRun(suite=suite, id=record.id, identity=record.identity, protocol_id=record.protocol_id),
        folder=folder,
        bulky=any(inner[file][0] == PREDICTIONS_FILE for file in chosen),
        checksums={name: known for name, known in (record.checksums or {}).items() if name != RECORD_FILE},
    )


def _is_packed(parts: Sequence[str], extras: Collection[Extra]) -> bool:
    return is_run_file(parts) and (Extra.PREDICTIONS in extras or parts[0] not in (PREDICTIONS_FILE, SAMPLES_FOLDER))


def _states_unit(suite: str, run_id: str, folder: Path, problems: list[str]) -> Iterator[Unit]:
    """Yield the newest intact training state; one is enough, because archives have checksums."""
    newest = next((state.path for state in StateFolder(folder).files() if state.intact), None)
    if newest is None:
        problems.append(f"{folder}: none of its saved states is intact")
    else:
        path = f"{suite}/{folder.name}/{newest.name}"
        yield Unit(f"{suite}/{run_id} (states)", (Source(path, newest),), bulky=True)


def _retest_units(suite: str, folder: Path, problems: list[str]) -> Iterator[Unit]:
    """Yield the further tests, those of one kind and run together."""
    for kind in FURTHER_TESTS:
        by_run: dict[str, list[Source]] = {}
        for record in packed_files(folder / kind):
            try:
                test = verified_test(kind, record)
            except StoreError as error:
                problems.append(str(error))
                continue
            files = [record, *([record.with_suffix(".npz")] if test.matrices is not None else [])]
            place = f"{suite}/{kind}/{record.parent.name}"
            by_run.setdefault(place, []).extend(Source(f"{place}/{file.name}", file) for file in files)
        for place, sources in by_run.items():
            yield Unit(place, tuple(sources))


def _speed_units(suite: str, folder: Path, max_bytes: int | None, problems: list[str]) -> Iterator[Unit]:
    """Yield the speed records, grouped so that each group fits into an archive."""
    most = min(_SMALL_BYTES, (max_bytes or _SMALL_BYTES) // 4)
    bundle: list[Source] = []
    size = 0
    for file in sorted((folder / SPEED_FOLDER).glob("*.json")):
        try:
            read_speed(file)
        except StoreError as error:
            problems.append(str(error))
            continue
        if bundle and size + file.stat().st_size > most:
            yield Unit(f"{suite}: speed records", tuple(bundle))
            bundle, size = [], 0
        bundle.append(Source(f"{suite}/{SPEED_FOLDER}/{file.name}", file))
        size += file.stat().st_size
    if bundle:
        yield Unit(f"{suite}: speed records", tuple(bundle))
