"""Decides against stored times: base and head were measured separately, so their restarts are not paired.

Looks, threshold, one-sided tests and Holm's correction are those of ``decision``. Only the interval differs: Welch's
interval of the difference of mean log times, with unequal variances (B. L. Welch, "The generalization of 'Student's'
problem when several different population variances are involved", Biometrika 34, 1947).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from segbench.speed.gate.decision import (
    LEAST_RESTARTS,
    Decision,
    Estimate,
    Rule,
    Verdict,
    decide_in_looks,
    until_next_look,
)


class Times(NamedTuple):
    """The median seconds of a call, one value for each restart.

    Attributes:
        base: The stored baseline.
        head: The current measurement.
    """

    base: Sequence[float]
    head: Sequence[float]


def decide_unpaired(times: Mapping[str, Times], rule: Rule | None = None) -> dict[str, Decision]:
    """Decide every case; uses all restarts of the base, and those of the head up to the deciding look.

    Args:
        times: Times by case.
        rule: Threshold, looks and error rate.

    Returns:
        Decisions by case. A case with a single restart on either side has no spread and is inconclusive.

    Raises:
        ValueError: A time is not finite and above zero.
    """
    decisions = decide_in_looks(
        {case: len(found.head) if _has_spread(found) else 0 for case, found in times.items()},
        lambda case, restarts: _estimate(Times(times[case].base, times[case].head[:restarts])),
        rule,
    )
    return {case: decision if decision.look else _undecided(times[case]) for case, decision in decisions.items()}


def more_needed_unpaired(times: Mapping[str, Times], rule: Rule | None = None) -> dict[str, int]:
    """Return the open cases with the number of further restarts of the head until the next look."""
    decisions = decide_unpaired(times, rule)
    able = {case: decisions[case] for case, found in times.items() if _has_spread(found)}
    return until_next_look(able, {case: len(times[case].head) for case in able}, rule)


def _has_spread(found: Times) -> bool:
    """Return whether the base has the restarts that a spread needs."""
    return len(found.base) >= LEAST_RESTARTS


def _undecided(found: Times) -> Decision:
    if len(found.base) < LEAST_RESTARTS or len(found.head) < LEAST_RESTARTS:
        which = "baseline" if len(found.base) < LEAST_RESTARTS else "present measurement"
        reason = f"the {which} holds one restart, which has no spread: give {LEAST_RESTARTS} or more"
        return Decision(Verdict.INCONCLUSIVE, reason=reason)
    return Decision(Verdict.INCONCLUSIVE)


def _estimate(times: Times) -> Estimate:
    logs = [_logs(side) for side in times]
    parts = [float(side.var(ddof=1)) / len(side) for side in logs]
    mean, variance = float(logs[1].mean() - logs[0].mean()), sum(parts)
    if variance == 0:  # all restarts are equal, as in worked examples
        return Estimate(mean, 0.0, 1.0)
    freedom = variance**2 / sum(part**2 / (len(side) - 1) for part, side in zip(parts, logs, strict=True))
    return Estimate(mean, math.sqrt(variance), freedom)


def _logs(seconds: Sequence[float]) -> NDArray[np.float64]:
    values = np.asarray(seconds, dtype=float)
    if not (np.isfinite(values).all() and (values > 0).all()):
        raise ValueError("expected times that are finite and above zero")
    logs: NDArray[np.float64] = np.log(values)
    return logs
