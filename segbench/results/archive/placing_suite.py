"""Places the parts of a suite that belong to no run: its plan, data checks, galleries and speed records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from segbench.config.files import read_digest
from segbench.errors import StoreError
from segbench.results.archive.manifest import PackedFile
from segbench.results.archive.members import Kind
from segbench.results.archive.placing import Fate, Placed, is_same, move
from segbench.results.archive.unpack import Unpacked
from segbench.results.data_checks import CHECKS_FILE, add_checks, read_checks
from segbench.results.speed.store import SPEED_FOLDER, read_speed
from segbench.results.store import LOCK_FILE, SUITE_FILE, Store


def place_suite(unpacked: Unpacked, suite: str, store: Store) -> list[Placed]:
    """Place everything that belongs to no run into a suite's folder.

    Args:
        unpacked: The verified archive.
        suite: The suite's name.
        store: The suite's store.

    Raises:
        StoreError: A file cannot be written.
    """
    listed = unpacked.manifest.of
    own = {file.member.inner: unpacked.folder / file.path for file in listed(Kind.SUITE, suite=suite)}
    placed = [_place_plan({name: own[name] for name in (SUITE_FILE, LOCK_FILE) if name in own}, suite, store)]
    if CHECKS_FILE in own:
        placed += _place_checks(own[CHECKS_FILE], suite, store)
    galleries: dict[str, list[PackedFile]] = {}
    for file in listed(Kind.GALLERY, suite=suite):
        galleries.setdefault(file.member.owner, []).append(file)
    placed += [_place_gallery(unpacked, of_one, store) for of_one in galleries.values()]
    placed += [_place_speed(unpacked.folder / file.path, file, store) for file in listed(Kind.SPEED, suite=suite)]
    return [one for one in placed if one is not None]


def _place_plan(files: Mapping[str, Path], suite: str, store: Store) -> Placed | None:
    """Write the suite and its plan if neither exists yet."""
    if not files:
        return None
    there = [store.folder / name for name in (SUITE_FILE, LOCK_FILE) if (store.folder / name).exists()]
    if not there:
        for name, file in files.items():
            move(file, store.folder / name)
        return Placed(f"{suite}/{SUITE_FILE}", Kind.SUITE, Fate.ADDED)
    differing = [file for file in there if file.name in files and read_digest(file) != read_digest(files[file.name])]
    if not differing:
        return Placed(f"{suite}/{SUITE_FILE}", Kind.SUITE, Fate.SAME)
    return Placed(f"{suite}/{differing[0].name}", Kind.SUITE, Fate.KEPT, "the archive's is another form of the suite")


def _place_checks(file: Path, suite: str, store: Store) -> list[Placed]:
    if not (store.folder / CHECKS_FILE).exists():
        move(file, store.folder / CHECKS_FILE)
        return []
    here, there = read_checks(store.folder), read_checks(file.parent)
    differing = [key for key, facts in there.items() if key in here and not _agree(here[key], facts)]
    fuller = {key: _joined(here.get(key), facts) for key, facts in there.items() if key not in differing}
    add_checks(store.folder, {key: facts for key, facts in fuller.items() if here.get(key) != facts})
    return [
        Placed(f"{suite}/{CHECKS_FILE}: {key[:16]}…", Kind.SUITE, Fate.CONFLICT, "other counts of the same split")
        for key in differing
    ]


def _agree(here: Any, there: Any) -> bool:
    """Return whether two counts of a split agree in all keys that both have; a newer segbench has more keys."""
    if not isinstance(here, dict) or not isinstance(there, dict):
        return bool(here == there)
    return all(here[key] == value for key, value in there.items() if key in here and key != "notes")


def _joined(here: Any, there: Any) -> Any:
    return here | there if isinstance(here, dict) else there


def _place_gallery(unpacked: Unpacked, files: Sequence[PackedFile], store: Store) -> Placed:
    """Place a gallery; an existing one of other networks is kept, since 'segbench run' rebuilds it from predictions."""
    member = files[0].member
    target = store.folder / member.folder.partition("/")[2]
    if not target.exists():
        move(unpacked.folder / member.folder, target)
        return Placed(member.folder, Kind.GALLERY, Fate.ADDED)
    if all(is_same(target / file.member.inner, file) for file in files):
        return Placed(member.folder, Kind.GALLERY, Fate.SAME)
    return Placed(member.folder, Kind.GALLERY, Fate.KEPT, "the archive's shows other pictures")


def _place_speed(staged: Path, file: PackedFile, store: Store) -> Placed:
    target = store.folder / SPEED_FOLDER / file.member.inner
    if not target.exists():
        move(staged, target)
        return Placed(file.path, Kind.SPEED, Fate.ADDED)
    if is_same(target, file):
        return Placed(file.path, Kind.SPEED, Fate.SAME)
    here, there = _images_per_second(target), _images_per_second(staged)
    note = f"other samples of the same case: {here} images/s here, {there} in the archive"
    return Placed(file.path, Kind.SPEED, Fate.CONFLICT, note)


def _images_per_second(file: Path) -> str:
    try:
        rate = read_speed(file).images_per_second
    except StoreError:
        return "unreadable"
    return f"{rate:.4g}" if rate is not None else "no"
