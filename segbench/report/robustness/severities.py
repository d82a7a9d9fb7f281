"""How score and calibration of a network change with the severity of corruptions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from segbench.metrics.calibration import calibration_error
from segbench.report.ranking.paired_order import mean_iou_of
from segbench.report.robustness.load import TestedRun
from segbench.report.robustness.rows import AtSeverity
from segbench.results.retests.record import Condition


def by_severity(runs: Sequence[TestedRun], corruptions: Sequence[Condition]) -> tuple[AtSeverity, ...]:
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
    clean = AtSeverity(0, tuple(mean_iou_of(run.clean) for run in runs), tuple(map(clean_calibration_error, runs)))
    return (clean, *(_at(runs, severity, [f"{name}-{severity}" for name in whole]) for severity in severities))


def clean_calibration_error(run: TestedRun) -> float:
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
