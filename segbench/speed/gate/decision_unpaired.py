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
from scipy import special

from segbench.speed.gate.decision import LEAST_RESTARTS, Decision, Interval, Rule, Verdict, holm


class Times(NamedTuple):
    """The median seconds of a call, one value for each restart.

    Attributes:
        base: The stored baseline.
        head: The current measurement.
    """

    base: Sequence[float]
    head: Sequence[float]


class _Estimate(NamedTuple):
    """The difference of mean log times, its standard error and its degrees of freedom."""

    mean: float
    error: float
    freedom: float

    def half_width(self, rate: float) -> float:
        return self.error * float(special.stdtrit(self.freedom, 1 - rate / 2)) if self.error else 0.0

    def p_value(self) -> float:
        """One-sided p value of "not slower than the base"."""
        if not self.error:
            return 0.0 if self.mean > 0 else 1.0
        return float(special.stdtr(self.freedom, -self.mean / self.error))


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
    rule = rule or Rule()
    decisions = {case: _undecided(found) for case, found in times.items()}
    for look, restarts in enumerate(rule.looks, start=1):
        judged = {
            case: _estimate(Times(found.base, found.head[:restarts]))
            for case, found in times.items()
            if decisions[case].verdict is Verdict.INCONCLUSIVE
            and len(found.head) >= restarts
            and len(found.base) >= LEAST_RESTARTS
        }
        family = sum(decision.verdict is not Verdict.REGRESSED for decision in decisions.values())
        p_values = holm({case: estimate.p_value() for case, estimate in judged.items()}, family=family)
        for case, estimate in judged.items():
            decisions[case] = _decision(estimate, p_values[case], rule, restarts=restarts, look=look)
    return decisions


def more_needed_unpaired(times: Mapping[str, Times], rule: Rule | None = None) -> dict[str, int]:
    """Return the open cases with the number of further restarts of the head until the next look."""
    rule = rule or Rule()
    needed = {}
    for case, decision in decide_unpaired(times, rule).items():
        ahead = [look for look in rule.looks if look > len(times[case].head)]
        if decision.verdict is Verdict.INCONCLUSIVE and ahead and len(times[case].base) >= LEAST_RESTARTS:
            needed[case] = ahead[0] - len(times[case].head)
    return needed


def _undecided(found: Times) -> Decision:
    if len(found.base) < LEAST_RESTARTS or len(found.head) < LEAST_RESTARTS:
        which = "baseline" if len(found.base) < LEAST_RESTARTS else "present measurement"
        reason = f"the {which} holds one restart, which has no spread: give {LEAST_RESTARTS} or more"
        return Decision(Verdict.INCONCLUSIVE, reason=reason)
    return Decision(Verdict.INCONCLUSIVE)


def _estimate(times: Times) -> _Estimate:
    logs = [_logs(side) for side in times]
    parts = [float(side.var(ddof=1)) / len(side) for side in logs]
    mean, variance = float(logs[1].mean() - logs[0].mean()), sum(parts)
    if variance == 0:  # all restarts are equal, as in worked examples
        return _Estimate(mean, 0.0, 1.0)
    freedom = variance**2 / sum(part**2 / (len(side) - 1) for part, side in zip(parts, logs, strict=True))
    return _Estimate(mean, math.sqrt(variance), freedom)


def _logs(seconds: Sequence[float]) -> NDArray[np.float64]:
    values = np.asarray(seconds, dtype=float)
    if not (np.isfinite(values).all() and (values > 0).all()):
        raise ValueError("expected times that are finite and above zero")
    logs: NDArray[np.float64] = np.log(values)
    return logs


def _decision(estimate: _Estimate, p_value: float, rule: Rule, *, restarts: int, look: int) -> Decision:
    rate, half = rule.rate_of_a_look, estimate.half_width(rule.rate_of_a_look)
    if estimate.mean >= rule.log_threshold / 2 and p_value <= rate / 2:
        verdict = Verdict.REGRESSED
    else:
        verdict = Verdict.PASSED if estimate.mean + half < rule.log_threshold else Verdict.INCONCLUSIVE
    return Decision(
        verdict=verdict,
        ratio=math.exp(estimate.mean),
        interval=Interval(math.exp(estimate.mean - half), math.exp(estimate.mean + half)),
        restarts=restarts,
        p_value=p_value,
        look=look,
    )
