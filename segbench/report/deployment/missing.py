"""Why trainings of a network have no result on a target, or none that is compared."""

from __future__ import annotations

from collections.abc import Sequence

from segbench.config.sections.deploy import REFERENCE
from segbench.report.deployment.load import DeployedRun
from segbench.results.record import Status

OTHER_PIXELS = "was fed other pixels than PyTorch, so that it is not compared: 'segbench deploy' both on one machine"


def fed_alike(run: DeployedRun, target: str) -> bool:
    """Return whether a run has a result on a target, and was fed with the same pixels as in PyTorch."""
    if target not in run.counts:
        return False
    fed, reference = ([record.test_digest for record in run.records[key]] for key in (target, REFERENCE))
    return fed == reference


def missing_results(runs: Sequence[DeployedRun], target: str) -> list[str]:
    """Return why trainings have no result on a target, those of one reason together; empty where all have one."""
    seeds: dict[str, list[int]] = {}
    for run in runs:
        if (reason := _missing(run, target)) is not None:
            seeds.setdefault(reason, []).append(run.seed)
    return [reason if len(found) == len(runs) else f"{_named(found)}: {reason}" for reason, found in seeds.items()]


def _missing(run: DeployedRun, target: str) -> str | None:
    """Return why a training has no result on a target; None where it has one."""
    if fed_alike(run, target):
        return None
    if target in run.counts:
        return OTHER_PIXELS
    records = run.records.get(target, ())
    reasons = [record.reason or str(record.status) for record in records if record.status is not Status.COMPLETED]
    return reasons[0] if reasons else "was not deployed, or not all of its folds; 'segbench deploy' does it"


def _named(seeds: Sequence[int]) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
