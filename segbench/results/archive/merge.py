"""Merges archives of results into a folder; all are verified before anything is written."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from segbench.errors import StoreError, UsageError
from segbench.results.archive.inventory import is_suite, suite_folders
from segbench.results.archive.manifest import Manifest, PackedRun
from segbench.results.archive.members import Kind, Member
from segbench.results.archive.placing import Fate, Placed, place_run, place_state
from segbench.results.archive.placing_retests import place_retests, verify_retest
from segbench.results.archive.placing_suite import place_suite
from segbench.results.archive.unpack import Unpacked, unpack
from segbench.results.arrays.gallery import GALLERY_FILE, read_gallery
from segbench.results.atomic_replace import leftovers, remove
from segbench.results.files import storing, temporary_path
from segbench.results.speed.store import read_speed
from segbench.results.store import SUITE_FILE, Store
from segbench.results.training_states import StateFile
from segbench.results.verify import verified_record

_STAGE = "merge"


@dataclass(frozen=True)
class Merged:
    """Outcome of a merge.

    Attributes:
        placed: Everything in the archives, in the order given; repeated if several archives hold it.
        absent: For each packing with missing parts: the parts that were given, and the total number of parts.
    """

    placed: tuple[Placed, ...]
    absent: tuple[tuple[tuple[int, ...], int], ...]

    def of(self, fate: Fate, kind: Kind | None = None) -> list[Placed]:
        """Return everything with a given fate."""
        return [one for one in self.placed if one.fate is fate and kind in (None, one.kind)]


def merge(archives: Sequence[Path], into: Path) -> Merged:
    """Merge archives that ``pack`` wrote into a results root or a suite's folder.

    Args:
        archives: The archive files; parts of one packing in any order.
        into: The target folder. If it holds a suite's results, or has the name of the only suite in the archives, it is
            taken as that suite's folder. Otherwise each suite gets a folder below it.

    Raises:
        ArchiveError: An archive is damaged, altered or malicious; nothing was written.
        UsageError: The folder belongs to another suite.
        StoreError: The folder cannot be written. Everything merged so far is complete; the merge can be repeated.
    """
    into = Path(os.path.abspath(into))  # noqa: PTH100 - resolve() would follow a link to a folder of another name
    if into.exists() and not into.is_dir():
        raise UsageError(f"--into {into}: is a file; expected a folder of results")
    with _staging(into) as stage:
        unpacked = [unpack(archive, stage / str(number)) for number, archive in enumerate(archives)]
        for one in unpacked:
            _verify(one)
        homes = _homes(into, {suite for one in unpacked for suite in one.manifest.suites})
        placed = [placed for one in unpacked for placed in _place(one, homes)]
    return Merged(tuple(placed), _absent([one.manifest for one in unpacked]))


@contextmanager
def _staging(into: Path) -> Iterator[Path]:
    """Yield an empty folder below the target; both are removed afterwards if nothing was merged."""
    made = [folder for folder in (into, *into.parents) if not folder.exists()]
    stage = temporary_path(into / _STAGE)
    with storing(into):
        for leftover in leftovers(into):
            if leftover.name == _STAGE and not leftover.in_use():
                remove(leftover.path)
        try:
            remove(stage)
            stage.mkdir(parents=True)
            yield stage
        finally:
            remove(stage)
            with suppress(OSError):  # not empty once something was merged
                for folder in made:
                    folder.rmdir()


def _homes(into: Path, suites: Collection[str]) -> dict[str, Path]:
    """Return the target folder of each suite.

    Raises:
        UsageError: ``into`` is the folder of another suite, or of a run.
    """
    below = suite_folders(into)
    one_suite = is_suite(into) or (set(suites) == {into.name} and not below)
    if not one_suite:
        return {suite: into / suite for suite in sorted(suites)}
    if set(suites) != {into.name}:
        raise UsageError(
            f"--into {into}: is the folder of suite {into.name!r}, and the archives hold {', '.join(sorted(suites))}; "
            f"give the folder above it, {into.parent}, or rename it"
        )
    return {into.name: into}


def _place(unpacked: Unpacked, homes: dict[str, Path]) -> list[Placed]:
    """Place everything in an archive into the folders of its suites."""
    placed = []
    stores = {suite: Store(homes[suite].parent, homes[suite].name) for suite in unpacked.manifest.suites}
    for suite, store in stores.items():
        with storing(store.folder):
            store.folder.mkdir(parents=True, exist_ok=True)
            placed += place_suite(unpacked, suite, store)
    placed += [place_run(unpacked, run, stores[run.suite]) for run in unpacked.manifest.runs]
    placed += [one for suite, store in stores.items() for one in place_retests(unpacked, suite, store)]
    for file in unpacked.manifest.of(Kind.STATES):
        placed.append(place_state(unpacked.folder / file.path, file, stores[file.member.suite]))
    return placed


def _verify(unpacked: Unpacked) -> None:
    """Verify the content of an archive as far as possible without the data.

    Raises:
        ArchiveError: A file is damaged or altered, or does not match its name.
    """
    try:
        for run in unpacked.manifest.runs:
            _verify_run(unpacked.folder / run.folder, run)
        for file in unpacked.manifest.files:
            _verify_file(unpacked.folder / file.path, file.member)
    except StoreError as error:
        raise unpacked.refuse(str(error)) from None


def _verify_run(folder: Path, run: PackedRun) -> None:
    record = verified_record(folder, run.id)
    if (record.identity, record.protocol_id) != (run.identity, run.protocol_id):
        raise StoreError(f"{run.folder}: has another identity or protocol than the manifest lists")


def _verify_file(file: Path, member: Member) -> None:
    """Verify a file that does not belong to a run.

    Raises:
        StoreError: The content does not match the file's name.
    """
    state, kind = StateFile.parse(file), member.kind
    if kind is Kind.SPEED and f"{read_speed(file).id}.json" != file.name:
        raise StoreError(f"{file}: is the record of another speed case")
    if kind is Kind.GALLERY:
        read_gallery(file.parent / GALLERY_FILE)
    if kind is Kind.STATES and not (state and state.intact):
        raise StoreError(f"{file}: is no saved state, by the checksum in its name")
    if kind is Kind.RETEST:
        verify_retest(file, member)
    if kind is Kind.SUITE:
        _verify_text(file)


def _verify_text(file: Path) -> None:
    try:
        text = file.read_text(encoding="utf-8")
        if file.name != SUITE_FILE and not isinstance(json.loads(text), dict):
            raise ValueError("holds no JSON object")
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{file}: cannot be read: {' '.join(str(error).split())[:200]}") from None


def _absent(manifests: Sequence[Manifest]) -> tuple[tuple[tuple[int, ...], int], ...]:
    """Return the packings with missing parts: the parts that were given, and the total number."""
    given: dict[str, set[int]] = {}
    for manifest in manifests:
        given.setdefault(manifest.pack_id, set()).add(manifest.part)
    counts = {manifest.pack_id: manifest.parts for manifest in manifests}
    return tuple((tuple(sorted(parts)), counts[key]) for key, parts in given.items() if len(parts) < counts[key])
