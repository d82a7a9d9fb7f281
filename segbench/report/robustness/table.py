"""How networks do under corruption: what they lose, under what they lose most, and whether their order changes."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np

from segbench.metrics.calibration import calibration_error
from segbench.metrics.trainings import Scope
from segbench.metrics.uncertainty import Interval, plain_intervals
from segbench.report.further_tests import Network, networks_by_table
from segbench.report.ranking.intervals import LEAST_IMAGES
from segbench.report.ranking.paired_order import OrderChanges, PairedOrder, RunTests, mean_iou_of, paired_order
from segbench.report.robustness.load import Retested, TestedRun
from segbench.report.robustness.rows import AtSeverity, RobustnessRow, RobustnessTable
from segbench.results.retests.record import Condition

Tested = Network[TestedRun]


def robustness_tables(found: Retested, *, resamples: int | None = None) -> list[RobustnessTable]:
    """Return a table for each protocol and its images, networks compared on the conditions that all of them have.

    Args:
        found: The further tests of a suite.
        resamples: How often to draw the images; as many as the number of tests allows by default.
    """
    tables = networks_by_table(found.runs, lambda run: (run.protocol, run.images))
    return [_table(found, networks, resamples) for networks in tables]


def _table(found: Retested, networks: Sequence[Tested], resamples: int | None) -> RobustnessTable:
    runs = [run for network in networks for run in network.runs]
    corruptions = [
        key for key, condition in found.conditions.items() if condition.kind == "corruption" and _fed_alike(runs, key)
    ]
    names = {key: found.conditions[key].name for key in corruptions}
    units = runs[0].groups or runs[0].images
    order = _order(networks, corruptions, units, resamples) if corruptions and len(set(units)) >= LEAST_IMAGES else None
    losses = plain_intervals(order.difference) if order else [None] * len(networks)
    rows = [
        _row(network, names, found, loss, _ranks(order, place))
        for place, (network, loss) in enumerate(zip(networks, losses, strict=True))
    ]
    return RobustnessTable(
        rows=tuple(sorted(rows, key=lambda row: -row.corrupted if not math.isnan(row.corrupted) else math.inf)),
        scope=order.scope if order else Scope.WEIGHTS,
        images=len(runs[0].images),
        protocol=runs[0].protocol,
        **vars(order.changes if order else OrderChanges()),
    )


def _order(
    networks: Sequence[Tested], corruptions: Sequence[str], units: Sequence[Hashable], resamples: int | None
) -> PairedOrder:
    tests = [
        (network.label, [RunTests(run.clean, [run.conditions[key] for key in corruptions]) for run in network.runs])
        for network in networks
    ]
    return paired_order(tests, units, resamples=resamples)


def _ranks(order: PairedOrder | None, place: int) -> dict[str, tuple[int, int]]:
    """Return the ranks of a network, clean and corrupted; nothing where they are not known."""
    if order is None or not order.ranks_before:
        return {}
    return {"clean": order.ranks_before[place], "corrupted": order.ranks_after[place]}


def _fed_alike(runs: Sequence[TestedRun], key: str) -> bool:
    """Return whether all runs were tested under a condition, on the same pixels."""
    return all(key in run.conditions for run in runs) and len({run.digests[key] for run in runs}) == 1


def _row(
    network: Tested,
    names: dict[str, str],
    found: Retested,
    loss: Interval | None,
    ranks: dict[str, tuple[int, int]],
) -> RobustnessRow:
    runs = network.runs
    by_condition = {key: _mean(runs, key) for key in found.conditions if all(key in run.conditions for run in runs)}
    by_corruption = {
        name: float(np.mean([by_condition[key] for key in names if names[key] == name]))
        for name in dict.fromkeys(names.values())
    }
    clean = float(np.mean([mean_iou_of(run.clean) for run in runs]))
    corrupted = float(np.mean([by_condition[key] for key in names])) if names else math.nan
    errors = [calibration_error(run.calibration[key]) for run in runs for key in names if key in run.calibration]
    kinds = {key: found.conditions[key].kind for key in by_condition}
    return RobustnessRow(
        label=network.label,
        seeds=len(runs),
        clean=clean,
        corrupted=corrupted,
        loss=loss,
        relative_loss=1 - corrupted / clean if clean else math.nan,
        by_corruption=by_corruption,
        by_condition=by_condition,
        worst=min(by_corruption, key=lambda name: by_corruption[name]) if by_corruption else None,
        rank_clean=ranks.get("clean"),
        rank_corrupted=ranks.get("corrupted"),
        calibration_error=float(np.mean(errors)) if errors else math.nan,
        clean_calibration_error=float(np.mean([_clean_calibration_error(run) for run in runs])),
        by_severity=_by_severity(runs, [found.conditions[key] for key in names]),
        elsewhere={key: by_condition[key] for key in by_condition if kinds[key] == "dataset"},
        train=next((by_condition[key] for key in by_condition if kinds[key] == "train_split"), None),
        failures={key: reason for run in runs for key, reason in run.failures.items()},
    )


def _mean(runs: Sequence[TestedRun], key: str) -> float:
    return float(np.mean([mean_iou_of(run.conditions[key]) for run in runs]))


def _by_severity(runs: Sequence[TestedRun], corruptions: Sequence[Condition]) -> tuple[AtSeverity, ...]:
    """Return the means over corruptions at each severity, clean images first; empty without corruptions.

    Only corruptions that have every severity count, so that all severities are means over the same ones.

    Args:
        runs: The trainings of one network.
        corruptions: The conditions under which all networks were tested.
    """
    severities = sorted({condition.severity for condition in corruptions if condition.severity is not None})
    whole = [
        name
        for name in dict.fromkeys(condition.name for condition in corruptions)
        if sum(condition.name == name for condition in corruptions) == len(severities)
    ]
    if not whole:
        return ()
    clean = AtSeverity(0, tuple(mean_iou_of(run.clean) for run in runs), tuple(map(_clean_calibration_error, runs)))
    return (clean, *(_at(runs, severity, [f"{name}-{severity}" for name in whole]) for severity in severities))


def _clean_calibration_error(run: TestedRun) -> float:
    """Return a run's expected calibration error on the clean images; NaN where it is not known."""
    return math.nan if run.clean_calibration is None else calibration_error(run.clean_calibration)


def _at(runs: Sequence[TestedRun], severity: int, keys: Sequence[str]) -> AtSeverity:
    return AtSeverity(
        severity,
        tuple(float(np.mean([mean_iou_of(run.conditions[key]) for key in keys])) for run in runs),
        tuple(float(np.mean([_calibration_error(run, key) for key in keys])) for run in runs),
    )


def _calibration_error(run: TestedRun, key: str) -> float:
    return calibration_error(run.calibration[key]) if key in run.calibration else math.nan
