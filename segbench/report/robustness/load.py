"""Further tests of stored runs, beside the runs' own test, on the same images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from segbench.errors import StoreError
from segbench.metrics.calibration import CalibrationCounts
from segbench.metrics.resampling import counts_by_image
from segbench.metrics.scores import ClassCounts
from segbench.results.arrays.matrices import ImageMatrices, load_matrices
from segbench.results.find_runs import CONFUSION_FILE, FoundRun, scan
from segbench.results.record import Status
from segbench.results.retests.record import Condition
from segbench.results.retests.store import ROBUSTNESS_FOLDER, StoredRetest, scan_retests


@dataclass(frozen=True, eq=False)
class TestedRun:
    """One run with what it scored under each condition.

    Attributes:
        label: The network.
        seed: The seed.
        protocol: The protocol, by which runs are comparable.
        clean: Counts of the test images that corruptions were made of, in their order.
        conditions: By condition, the counts of every image.
        calibration: By condition, the labelled pixels by confidence.
        failures: By condition, why there are none.
    """

    label: str
    seed: int
    protocol: str
    clean: ClassCounts
    conditions: dict[str, ClassCounts]
    calibration: dict[str, CalibrationCounts]
    failures: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Retested:
    """All further tests of a suite.

    Attributes:
        runs: The runs that have any.
        conditions: All conditions, by their key, in the order of kinds, names, severities.
        images: Names of the test images that corruptions were made of.
        problems: What could not be read, and what does not belong together.
    """

    runs: tuple[TestedRun, ...]
    conditions: dict[str, Condition]
    images: tuple[str, ...]
    problems: tuple[str, ...]


def load_retests(folder: Path) -> Retested:
    """Read the further tests of a suite's folder; empty where there are none.

    Raises:
        StoreError: The folder does not exist.
    """
    found = scan_retests(folder / ROBUSTNESS_FOLDER)
    by_run: dict[str, list[StoredRetest]] = defaultdict(list)
    for test in found.tests:
        by_run[test.record.run].append(test)
    problems = [*found.problems]
    runs: list[TestedRun] = []
    names: tuple[str, ...] = ()
    for run in scan(folder) if by_run else ():
        tests = [] if run.record is None else by_run.get(run.record.id, [])
        try:
            if tests and (tested := _tested(run, tests, problems)) is not None:
                names = names or tested[1]
                runs.append(tested[0])
        except StoreError as error:
            problems.append(str(error))
    conditions = {test.record.condition.key: test.record.condition for test in found.tests}
    return Retested(tuple(runs), dict(sorted(conditions.items(), key=_order)), names, tuple(problems))


def _order(item: tuple[str, Condition]) -> tuple[int, str, int]:
    condition = item[1]
    kinds = ("corruption", "dataset", "train_split")
    return kinds.index(condition.kind), condition.name, condition.severity or 0


def _tested(
    run: FoundRun, tests: Sequence[StoredRetest], problems: list[str]
) -> tuple[TestedRun, tuple[str, ...]] | None:
    """Return a run with its tests, and the test images that corruptions were made of."""
    record = run.record
    assert record is not None
    if record.outcome.status is not Status.COMPLETED:
        return None
    current = [test for test in tests if test.record.identity == record.identity]
    if len(current) < len(tests):
        problems.append(f"{record.id}: some tests are of an earlier run; 'segbench robustness' does them again")
    completed = [test for test in current if test.record.status is Status.COMPLETED]
    matrices = {test.record.condition.key: test.matrices() for test in completed}
    corrupted = [
        matrices[test.record.condition.key] for test in completed if test.record.condition.kind == "corruption"
    ]
    names = corrupted[0].names if corrupted else ()
    if any(one.names != names for one in corrupted):
        raise StoreError(f"{record.id}: its tests are of different images; run 'segbench robustness' again")
    clean = load_matrices(run.folder / CONFUSION_FILE)
    return TestedRun(
        label=record.label,
        seed=record.seed,
        protocol=record.protocol_id,
        clean=counts_by_image((_of(clean, names, record.id) if names else clean).matrices),
        conditions={key: counts_by_image(one.matrices) for key, one in matrices.items()},
        calibration={
            test.record.condition.key: _calibration(test) for test in completed if test.record.calibration is not None
        },
        failures={
            test.record.condition.key: test.record.reason or "failed" for test in current if test not in completed
        },
    ), names


def _of(matrices: ImageMatrices, names: Sequence[str], run: str) -> ImageMatrices:
    """Return the matrices of some images, in the order of their names.

    Raises:
        StoreError: One is missing.
    """
    places = {name: place for place, name in enumerate(matrices.names)}
    if not set(names) <= places.keys():
        raise StoreError(f"{run}: its tests are of images that it was not tested on; run 'segbench robustness' again")
    return ImageMatrices(tuple(names), matrices.matrices[[places[name] for name in names]])


def _calibration(test: StoredRetest) -> CalibrationCounts:
    found = test.record.calibration
    assert found is not None
    return CalibrationCounts(
        np.array([found.pixels]), np.array([found.correct]), np.array([found.confidence], np.float64)
    )
