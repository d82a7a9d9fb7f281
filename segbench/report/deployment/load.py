"""Deployments of stored runs, all folds of a network and seed together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from segbench.config.sections.deploy import REFERENCE
from segbench.errors import StoreError
from segbench.metrics.resampling import counts_by_image
from segbench.metrics.scores import ClassCounts
from segbench.report.runs.network_identity import labels_by_run
from segbench.results.arrays.matrices import ImageMatrices, joined, load_matrices
from segbench.results.deployments.record import DeploymentRecord
from segbench.results.deployments.store import DEPLOYMENTS, StoredDeployment
from segbench.results.find_runs import scan
from segbench.results.record import RunRecord, Status
from segbench.results.run_files import CONFUSION_FILE


@dataclass(frozen=True, eq=False)
class DeployedRun:
    """One network trained with one seed, on all its targets of one device.

    Attributes:
        label: The network, unique among networks of the suite.
        seed: The seed.
        protocol: The protocol, by which runs are comparable.
        device: cpu, cuda or mps.
        images: Names of the test images.
        groups: What each of them belongs to; None where each stands alone.
        counts: By target, the counts of every image.
        records: By target, the records of all folds, those without a result among them.
        ids: The runs.
    """

    label: str
    seed: int
    protocol: str
    device: str
    images: tuple[str, ...]
    groups: tuple[Hashable, ...] | None
    counts: Mapping[str, ClassCounts]
    records: Mapping[str, tuple[DeploymentRecord, ...]]
    ids: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class FoundDeployments:
    """All deployments of a suite.

    Attributes:
        runs: The runs that have any.
        problems: What could not be read, and what does not belong together.
    """

    runs: tuple[DeployedRun, ...]
    problems: tuple[str, ...]


class _Part(NamedTuple):
    """One run with its deployments to one device: of a cross-validation, one fold."""

    label: str
    record: RunRecord
    folder: Path
    tests: Sequence[StoredDeployment]


def load_deployments(*folders: Path) -> FoundDeployments:
    """Read the deployments in folders of one suite; empty where there are none.

    A run that lies in several of them counts once, with the deployments of all. A deployment that is of other images
    than PyTorch's is left out, and told.

    Raises:
        StoreError: A folder does not exist.
    """
    by_run: dict[str, dict[str, StoredDeployment]] = defaultdict(dict)
    problems: list[str] = []
    for folder in folders:
        found = DEPLOYMENTS.scan(folder / DEPLOYMENTS.folder)
        problems += found.problems
        for test in found.tests:
            _keep(by_run[test.record.run], test)
    stored = list(scan(*folders)) if by_run else []
    labels = labels_by_run([run.record for run in stored if run.record is not None])
    parts: dict[tuple[str, int, str, str], list[_Part]] = defaultdict(list)
    for run in stored:
        record = run.record
        if record is None or record.outcome.status is not Status.COMPLETED:
            continue
        label = labels.get(record.id, record.label)
        for device, tests in _current(record, by_run.pop(record.id, {}).values(), problems).items():
            parts[label, record.seed, record.protocol_id, device].append(_Part(label, record, run.folder, tests))
    runs = []
    for (*_, device), folds in parts.items():
        try:
            runs.append(_together(folds, device, problems))
        except StoreError as error:
            problems.append(str(error))
    return FoundDeployments(tuple(runs), tuple(problems))


def _keep(tests: dict[str, StoredDeployment], test: StoredDeployment) -> None:
    """Add a test by its target; of two, one with a result stays."""
    known = tests.get(test.record.target.key)
    if known is None or known.record.status is not Status.COMPLETED:
        tests[test.record.target.key] = test


def _current(
    record: RunRecord, tests: Iterable[StoredDeployment], problems: list[str]
) -> dict[str, list[StoredDeployment]]:
    """Return the deployments of a run as it is now, by device."""
    tests = list(tests)
    current = [test for test in tests if test.record.is_of(record)]
    if len(current) < len(tests):
        problems.append(f"{record.id}: some deployments are of an earlier run; 'segbench deploy' does them again")
    found: dict[str, list[StoredDeployment]] = defaultdict(list)
    for test in current:
        found[test.record.target.device].append(test)
    return found


def _together(parts: Sequence[_Part], device: str, problems: list[str]) -> DeployedRun:
    """Return all folds of a network and seed as one run; what is of other images than PyTorch's is a problem.

    Raises:
        StoreError: Folds are missing, the test in PyTorch is, or matrices cannot be read.
    """
    label, first = parts[0].label, parts[0].record
    title, folds = f"{label}, seed {first.seed}", first.fold.folds if first.fold is not None else 1
    if len({part.record.fold and part.record.fold.index for part in parts}) < folds:
        raise StoreError(f"{title}: only {len(parts)} of {folds} folds were deployed; left out")
    parts = sorted(parts, key=lambda part: part.record.fold.index if part.record.fold else 0)
    records: dict[str, list[DeploymentRecord]] = defaultdict(list)
    matrices: dict[str, list[ImageMatrices]] = defaultdict(list)
    for part in parts:
        for test in part.tests:
            key = test.record.target.model_copy(update={"device": "cpu"}).key
            records[key].append(test.record)
            if test.record.status is Status.COMPLETED:
                matrices[key].append(test.matrices())
    whole = {key: joined(found) for key, found in matrices.items() if len(found) == len(parts)}
    if REFERENCE not in whole:
        raise StoreError(f"{title}: its test in PyTorch is missing; run 'segbench deploy' again")
    images = whole[REFERENCE].names
    other = [key for key, found in whole.items() if found.names != images]
    for key in other:
        name = records.pop(key)[0].target
        problems.append(
            f"{title}, {name}: left out, since it was tested on other images than PyTorch, by an earlier deploy block; "
            "'segbench deploy' with this target does it again"
        )
    return DeployedRun(
        label=label,
        seed=first.seed,
        protocol=first.protocol_id,
        device=device,
        images=images,
        groups=_groups(parts, images),
        counts={key: counts_by_image(found.matrices) for key, found in whole.items() if key in records},
        records={key: tuple(found) for key, found in records.items()},
        ids=tuple(part.record.id for part in parts),
    )


def _groups(parts: Sequence[_Part], images: Sequence[str]) -> tuple[Hashable, ...] | None:
    """Return the groups of images, which cross-validations with groups have in the records of their folds.

    Raises:
        StoreError: The matrices of a run cannot be read, or it was not tested on these images.
    """
    found: dict[str, Hashable] = {}
    for part in parts:
        fold = part.record.fold
        if fold is None or fold.groups is None:
            return None
        found |= dict(zip(load_matrices(part.folder / CONFUSION_FILE).names, fold.groups, strict=True))
    if not set(images) <= found.keys():
        raise StoreError(f"{parts[0].label}: was deployed on images that it was not tested on")
    return tuple(found[name] for name in images)
