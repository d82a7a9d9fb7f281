"""Places further tests of trained networks; a test with a result is never replaced by another result."""

from __future__ import annotations

from pathlib import Path

from segbench.errors import StoreError
from segbench.results.archive.further_tests import VerifiedTest, verified_test
from segbench.results.archive.members import Kind, Member
from segbench.results.archive.placing import Fate, Placed, move
from segbench.results.archive.unpack import Unpacked
from segbench.results.files import storing
from segbench.results.record import RunRecord
from segbench.results.store import Store

RECORD, ARRAYS = ".json", ".npz"


def place_retests(unpacked: Unpacked, suite: str, store: Store) -> list[Placed]:
    """Place the further tests of a suite, after its runs.

    Args:
        unpacked: The verified archive.
        suite: The suite's name.
        store: The suite's store.

    Raises:
        StoreError: A file cannot be written.
    """
    members = [file.member for file in unpacked.manifest.of(Kind.RETEST, suite=suite)]
    return [_place(unpacked, member, store) for member in members if member.inner.endswith(RECORD)]


def verify_retest(file: Path, member: Member) -> None:
    """Verify an unpacked file of a further test.

    Raises:
        StoreError: It is damaged, belongs elsewhere, or is the arrays of no record.
    """
    if file.suffix == RECORD:
        verified_test(member.owner.partition("/")[0], file)
    elif not file.with_suffix(RECORD).is_file():
        raise StoreError(f"{file}: has no record, {file.stem}{RECORD}")


def _place(unpacked: Unpacked, member: Member, store: Store) -> Placed:
    kind, _, run_id = member.owner.partition("/")
    staged, target = unpacked.folder / member.path, store.folder / kind / run_id / member.inner
    there = verified_test(kind, staged)
    run = store.find(run_id)
    if run is not None and not there.record.is_of(run):
        return Placed(member.path, Kind.RETEST, Fate.KEPT, "the archive's is of another run, or of other weights")
    if not target.exists():
        _install(staged, target)
        return Placed(member.path, Kind.RETEST, Fate.ADDED)
    try:
        here = verified_test(kind, target)
    except StoreError as error:
        _install(staged, target)
        return Placed(member.path, Kind.RETEST, Fate.REPLACED, f"what was there is damaged: {error}")
    fate, note = _fate(here, there, run)
    if fate is Fate.REPLACED:
        _install(staged, target)
    return Placed(member.path, Kind.RETEST, fate, note)


def _fate(here: VerifiedTest, there: VerifiedTest, run: RunRecord | None) -> tuple[Fate, str]:
    """Decide between two tests of one run and name: results win over failures, those of the stored run over others."""
    if here.agrees(there):
        return Fate.SAME, ""
    if run is not None and not here.record.is_of(run):
        return Fate.REPLACED, "what was there is of an earlier run"
    if here.record.identity != there.record.identity:
        return Fate.KEPT, "the archive's is of another run"
    if not there.completed:
        return Fate.KEPT, "the archive's failed"
    if not here.completed:
        return Fate.REPLACED, "what was there failed"
    return Fate.CONFLICT, "another result of the same test"


def _install(staged: Path, target: Path) -> None:
    """Move a record with its arrays, the record last, so that a record means that both are whole."""
    with storing(target.parent):
        for suffix in (RECORD, ARRAYS):
            target.with_suffix(suffix).unlink(missing_ok=True)
        if staged.with_suffix(ARRAYS).is_file():
            move(staged.with_suffix(ARRAYS), target.with_suffix(ARRAYS))
        move(staged, target)
