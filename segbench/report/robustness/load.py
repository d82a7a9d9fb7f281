"""Further tests of stored runs, beside the runs' own test, on the same images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from segbench.errors import StoreError
from segbench.metrics.calibration import CalibrationCounts
from segbench.metrics.resampling import counts_by_image
from segbench.metrics.scores import ClassCounts
from segbench.report.runs.network_identity import labels_by_run
from segbench.results.arrays.details import CALIBRATION, load_details
from segbench.results.arrays.matrices import ImageMatrices, joined, load_matrices
from segbench.results.find_runs import FoundRun, scan
from segbench.results.record import RunRecord, Status
from segbench.results.retests.record import Condition
from segbench.results.retests.store import ROBUSTNESS, StoredRetest
from segbench.results.run_files import CONFUSION_FILE, DETAILS_FILE


@dataclass(frozen=True, eq=False)
class TestedRun:
    """One network trained with one seed, with what it scored under each condition; all its folds together.

    Attributes:
        ids: The ids of its runs: one, or of a cross-validation one for each fold.
        label: The network, unique among networks of the suite.
        seed: The seed.
        protocol: The protocol, by which runs are comparable.
        images: Names of the test images that corruptions were made of.
        groups: What each of these images belongs to; None where each stands alone.
        clean: Their counts as the run was tested.
        clean_calibration: Their labelled pixels by confidence; None where that was not counted.
        conditions: By condition, the counts of every image.
        digests: By condition, hashes of what was fed.
        calibration: By condition, the labelled pixels by confidence.
        failures: By condition, why there are none.
    """

    ids: tuple[str, ...]
    label: str
    seed: int
    protocol: str
    images: tuple[str, ...]
    groups: tuple[Hashable, ...] | None
    clean: ClassCounts
    clean_calibration: CalibrationCounts | None
    conditions: dict[str, ClassCounts]
    digests: dict[str, tuple[str | None, ...]]
    calibration: dict[str, CalibrationCounts]
    failures: dict[str, str]


@dataclass(frozen=True, eq=False)
class Retested:
    """All further tests of a suite, from one folder or several.

    Attributes:
        runs: The runs that have any.
        conditions: All conditions, by their key, in the order of kinds, names, severities.
        problems: What could not be read, and what does not belong together.
    """

    runs: tuple[TestedRun, ...]
    conditions: dict[str, Condition]
    problems: tuple[str, ...]


class _Part(NamedTuple):
    """One run: of a cross-validation, one fold.

    Attributes:
        label: The network, unique among networks of the suite.
        record: Its record.
        tests: Its tests that are of this run.
        matrices: By condition, those of its completed tests.
        clean: The matrices of the run's own test, of the images that corruptions were made of.
        calibration: The pixels of these images by confidence; None where that was not counted.
        groups: What each of these images belongs to; None where each stands alone.
    """

    label: str
    record: RunRecord
    tests: Sequence[StoredRetest]
    matrices: dict[str, ImageMatrices]
    clean: ImageMatrices
    calibration: CalibrationCounts | None
    groups: tuple[str, ...] | None


def load_retests(*folders: Path) -> Retested:
    """Read the further tests in folders of one suite; empty where there are none.

    A run that lies in several of them counts once, where it has most tests.

    Raises:
        StoreError: A folder does not exist.
    """
    problems: list[str] = []
    parts: dict[str, _Part] = {}
    conditions: dict[str, Condition] = {}
    tested = [ROBUSTNESS.scan(folder / ROBUSTNESS.folder) for folder in folders]
    stored = [list(scan(folder)) if found.tests else [] for folder, found in zip(folders, tested, strict=True)]
    labels = labels_by_run([run.record for some in stored for run in some if run.record is not None])
    for some, found in zip(stored, tested, strict=True):
        problems += found.problems
        conditions |= {test.record.condition.key: test.record.condition for test in found.tests}
        for part in _parts(some, found.tests, labels, problems):
            known = parts.get(part.record.id)
            if known is None or len(part.matrices) > len(known.matrices):
                parts[part.record.id] = part
    by_training: dict[tuple[str, int, str], list[_Part]] = defaultdict(list)
    for part in parts.values():
        by_training[part.label, part.record.seed, part.record.protocol_id].append(part)
    runs = [run for folds in by_training.values() if (run := _together(folds, problems)) is not None]
    problems += [*_fed_otherwise(runs), *_untested(runs, conditions)]
    return Retested(tuple(runs), dict(sorted(conditions.items(), key=_order)), tuple(problems))


def _parts(
    stored: Sequence[FoundRun], tests: Sequence[StoredRetest], labels: Mapping[str, str], problems: list[str]
) -> Iterator[_Part]:
    """Yield the completed runs of a folder that have tests, labelled as told."""
    by_run: dict[str, list[StoredRetest]] = defaultdict(list)
    for test in tests:
        by_run[test.record.run].append(test)
    for run in stored:
        record = run.record
        own = [] if record is None else by_run.get(record.id, [])
        if record is None or not own or record.outcome.status is not Status.COMPLETED:
            continue
        try:
            yield _part(run, record, own, problems)._replace(label=labels.get(record.id, record.label))
        except StoreError as error:
            problems.append(str(error))


def _fed_otherwise(runs: Sequence[TestedRun]) -> list[str]:
    """Return a sentence for each condition under which networks that are compared were fed other pixels."""
    digests: dict[tuple[str, tuple[str, ...], str], set[tuple[str | None, ...]]] = defaultdict(set)
    for run in runs:
        for key, digest in run.digests.items():
            digests[run.protocol, run.images, key].add(digest)
    return [
        f"{key}: left out, since not all networks were fed the same pixels; other library versions or machines decode, "
        "resize or corrupt otherwise: test all networks on one"
        for (_, _, key), found in digests.items()
        if len(found) > 1
    ]


def _untested(runs: Sequence[TestedRun], conditions: Mapping[str, Condition]) -> list[str]:
    """Return a sentence for each corruption that does not count, since some networks were not tested under it."""
    tables: dict[tuple[str, tuple[str, ...]], list[TestedRun]] = defaultdict(list)
    for run in runs:
        tables[run.protocol, run.images].append(run)
    found = []
    for rivals in tables.values():
        for key in (key for key, condition in conditions.items() if condition.kind == "corruption"):
            tested = [run for run in rivals if key in run.conditions]
            lacking = [run for run in rivals if key not in run.conditions and key not in run.failures]
            if tested and lacking:
                names = ", ".join(dict.fromkeys(f"{run.label}, seed {run.seed}" for run in lacking))
                found.append(f"{key}: left out of the means, since these have no result under it: {names}")
    return found


def _order(item: tuple[str, Condition]) -> tuple[int, str, int]:
    condition = item[1]
    kinds = ("corruption", "dataset", "train_split")
    return kinds.index(condition.kind), condition.name, condition.severity or 0


def _part(run: FoundRun, record: RunRecord, tests: Sequence[StoredRetest], problems: list[str]) -> _Part:
    """Return a run with its tests.

    Raises:
        StoreError: Matrices cannot be read, or are of images that do not belong together.
    """
    current = [test for test in tests if test.record.is_of(record)]
    if len(current) < len(tests):
        problems.append(f"{record.id}: some tests are of an earlier run; 'segbench robustness' does them again")
    completed = [test for test in current if test.record.status is Status.COMPLETED]
    matrices = {test.record.condition.key: test.matrices() for test in completed}
    kinds = {test.record.condition.key: test.record.condition.kind for test in completed}
    corrupted = [one for key, one in matrices.items() if kinds[key] == "corruption"]
    clean = load_matrices(run.folder / CONFUSION_FILE)
    names = corrupted[0].names if corrupted else clean.names
    if any(one.names != names for one in corrupted):
        raise StoreError(f"{record.id}: its tests are of different images; run 'segbench robustness' again")
    few = _of(clean, names, record.id)
    calibration = _clean_calibration(run.folder, names)
    return _Part(record.label, record, current, matrices, few, calibration, _groups(record, clean.names, names))


def _clean_calibration(folder: Path, images: Sequence[str]) -> CalibrationCounts | None:
    """Return the pixels of some images of a run's own test by confidence; None where they were not counted.

    Raises:
        StoreError: The counts cannot be read.
    """
    details = load_details(folder / DETAILS_FILE, CALIBRATION)
    if details is None or not details.part(CALIBRATION) or not set(images) <= set(details.names):
        return None
    places = {name: place for place, name in enumerate(details.names)}
    chosen = [places[name] for name in images]
    return CalibrationCounts(**{name: counts[chosen] for name, counts in details.part(CALIBRATION).items()})


def _joined_calibration(folds: Sequence[CalibrationCounts | None]) -> CalibrationCounts | None:
    """Return the counts of all folds; None where one has none."""
    known = [fold for fold in folds if fold is not None]
    return CalibrationCounts(*map(np.concatenate, zip(*known, strict=True))) if len(known) == len(folds) else None


def _groups(record: RunRecord, images: Sequence[str], wanted: Sequence[str]) -> tuple[str, ...] | None:
    """Return the groups of some of the images that a fold was tested on; None without groups."""
    if record.fold is None or record.fold.groups is None:
        return None
    groups = dict(zip(images, record.fold.groups, strict=True))
    return tuple(groups[name] for name in wanted)


def _of(matrices: ImageMatrices, names: Sequence[str], run: str) -> ImageMatrices:
    """Return the matrices of some images, in the order of their names.

    Raises:
        StoreError: One is missing.
    """
    places = {name: place for place, name in enumerate(matrices.names)}
    if not set(names) <= places.keys():
        raise StoreError(f"{run}: its tests are of images that it was not tested on; run 'segbench robustness' again")
    return matrices.at([places[name] for name in names])


def _together(parts: Sequence[_Part], problems: list[str]) -> TestedRun | None:
    """Return all folds of a network and seed as one run; None, which is a problem, where they are not one."""
    first = parts[0].record
    title, folds = f"{parts[0].label}, seed {first.seed}", first.fold.folds if first.fold is not None else 1
    if len({part.record.fold and part.record.fold.index for part in parts}) < folds:
        problems.append(
            f"{parts[0].label}, seed {first.seed}: only {len(parts)} of {folds} folds were tested; left out"
        )
        return None
    parts = sorted(parts, key=lambda part: part.record.fold.index if part.record.fold else 0)
    shared = [key for key in parts[0].matrices if all(key in part.matrices for part in parts)]
    tests = {(place, test.record.condition.key): test.record for place, part in enumerate(parts) for test in part.tests}
    try:
        clean = joined([part.clean for part in parts])
    except StoreError as error:
        problems.append(f"{title}: {error}; left out")
        return None
    groups = [part.groups for part in parts]
    return TestedRun(
        ids=tuple(part.record.id for part in parts),
        label=parts[0].label,
        seed=first.seed,
        protocol=first.protocol_id,
        images=clean.names,
        groups=tuple(group for part in groups if part for group in part) if all(groups) else None,
        clean=counts_by_image(clean.matrices),
        clean_calibration=_joined_calibration([part.calibration for part in parts]),
        conditions={key: _counts([part.matrices[key] for part in parts]) for key in shared},
        digests={key: tuple(tests[place, key].test_digest for place in range(len(parts))) for key in shared},
        calibration={key: found for key in shared if (found := _calibration(parts, key)) is not None},
        failures={
            key: record.reason or "failed"
            for (_, key), record in tests.items()
            if record.status is not Status.COMPLETED
        },
    )


def _counts(folds: Sequence[ImageMatrices]) -> ClassCounts:
    """Return the counts of all images; of training images, folds share some, which count once each time."""
    return counts_by_image(np.concatenate([fold.matrices for fold in folds]))


def _calibration(parts: Sequence[_Part], key: str) -> CalibrationCounts | None:
    found = [test.record.calibration for part in parts for test in part.tests if test.record.condition.key == key]
    known = [one for one in found if one is not None]
    if len(known) < len(parts):
        return None
    return CalibrationCounts(
        np.array([one.pixels for one in known]),
        np.array([one.correct for one in known]),
        np.array([one.confidence for one in known], np.float64),
    )
