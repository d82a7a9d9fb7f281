"""Decides from the time ratios of several restarts whether a case became slower, with controlled error rates.

The rule. Each restart of the processes gives one number, the median log ratio of its rounds. Restarts are independent,
rounds are not. After 5, 8 and 12 restarts there is a *look*. The error rate (5 %) is split evenly over the looks, so
each look has ``rate = 5 % / 3``. It checks each open case in this order:

1. **Regressed** if the point estimate is at least half the threshold and the one-sided t test of "not slower than
   the base" gives a Holm-adjusted p value of at most ``rate / 2``. For a single case this is equivalent to the
   two-sided t interval of confidence ``1 - rate`` lying above zero.
2. **Passed** if that interval, unadjusted, lies below the threshold. The gate passes only when every case passes, so
   this side needs no correction for several cases.
3. Otherwise the case stays open until the next look; after the last one it is **inconclusive**.

Holm's family contains all cases of the gate that did not regress at an earlier look. Cases that passed stay in the
family and are never rejected. By the union bound over the looks, the probability that a gate reports any false
regression is at most half the error rate, 2.5 %, for any dependence between cases. The half threshold and the
confirmation reduce it further.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum

import numpy as np
from scipy import special

from segbench.errors import UsageError
from segbench.metrics.uncertainty import holm as adjusted

LEAST_RESTARTS = 2
"""A spread needs two values."""


class Verdict(StrEnum):
    """The outcome of a case."""

    PASSED = "passed"
    REGRESSED = "regressed"
    INCONCLUSIVE = "inconclusive"
    NOT_COMPARABLE = "not_comparable"


class ExitCode(IntEnum):
    """The exit code of a gate."""

    PASSED = 0
    REGRESSED = 1
    USAGE_OR_CRASH = 2
    INCONCLUSIVE = 3
    NOT_COMPARABLE = 4


_BY_PRECEDENCE = {
    Verdict.REGRESSED: ExitCode.REGRESSED,
    Verdict.NOT_COMPARABLE: ExitCode.NOT_COMPARABLE,
    Verdict.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
    Verdict.PASSED: ExitCode.PASSED,
}
"""Verdicts, worst first; the worst one decides the gate."""


@dataclass(frozen=True)
class Rule:
    """The threshold and the error rate of a gate.

    Attributes:
        threshold: The slowdown to detect, as a fraction: 0.1 is 10 % more time.
        looks: Increasing numbers of restarts after which to decide.
        error_rate: The total two-sided error rate of all looks.

    Raises:
        UsageError: A value is impossible.
    """

    threshold: float = 0.10
    looks: tuple[int, ...] = (5, 8, 12)
    error_rate: float = 0.05

    def __post_init__(self) -> None:
        if not 0 < self.threshold < math.inf:
            raise UsageError(f"the threshold is {self.threshold:g}; expected a share above 0, such as 0.1 for 10 %")
        if not 0 < self.error_rate < 1:
            raise UsageError(f"the error rate is {self.error_rate:g}; expected a share between 0 and 1, such as 0.05")
        rising = all(now < then for now, then in zip(self.looks, self.looks[1:], strict=False))
        if not self.looks or self.looks[0] < LEAST_RESTARTS or not rising:
            raise UsageError(f"the looks are {list(self.looks)}; expected rising numbers of restarts, 2 or more")

    @property
    def log_threshold(self) -> float:
        """The threshold as a log ratio."""
        return math.log1p(self.threshold)

    @property
    def rate_of_a_look(self) -> float:
        """The two-sided error rate of one look."""
        return self.error_rate / len(self.looks)

    def limited(self, restarts: int) -> Rule:
        """Return the rule with its last look after ``restarts``.

        Raises:
            UsageError: There are too few restarts to estimate a spread.
        """
        if restarts < LEAST_RESTARTS:
            raise UsageError(f"at most {restarts} restarts cannot be judged; allow {LEAST_RESTARTS} or more")
        return replace(self, looks=(*(look for look in self.looks if look < restarts), restarts))


@dataclass(frozen=True)
class Interval:
    """The bounds of a confidence interval of a ratio."""

    low: float
    high: float


@dataclass(frozen=True)
class Decision:
    """The decision about one case, with the figures it is based on.

    Attributes:
        verdict: The outcome.
        ratio: Head's time divided by base's (exponential of the mean log ratio); None before the first look.
        interval: Two-sided t interval of the ratio at the look's confidence.
        restarts: Number of restarts used.
        p_value: One-sided p value of "not slower than the base", Holm-adjusted over the cases of the gate.
        look: Number of the look that decided, from 1; 0 before the first.
        reason: Further explanation: why the case is not comparable, or the result of the confirmation.
    """

    verdict: Verdict
    ratio: float | None = None
    interval: Interval | None = None
    restarts: int = 0
    p_value: float | None = None
    look: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Estimate:
    """The mean of log ratios, its standard error and the degrees of freedom of its t test."""

    mean: float
    error: float
    freedom: float

    def half_width(self, rate: float) -> float:
        """Return the half width of the two-sided t interval with this error rate."""
        return self.error * float(special.stdtrit(self.freedom, 1 - rate / 2)) if self.error else 0.0

    @property
    def p_value(self) -> float:
        """One-sided p value of "not slower than the base", before any correction."""
        if not self.error:  # all restarts are equal, as in worked examples
            return 0.0 if self.mean > 0 else 1.0
        return float(special.stdtr(self.freedom, -self.mean / self.error))


def restart_log_ratio(base_seconds: Sequence[float], head_seconds: Sequence[float]) -> float:
    """Return one restart's statistic: the median over its rounds of log(head / base).

    Args:
        base_seconds: The base's time in each round, in any unit.
        head_seconds: The head's time in the same rounds, in the same unit.

    Raises:
        ValueError: There is no round, the numbers of rounds differ, or a time is not positive.
    """
    base, head = np.asarray(base_seconds, dtype=float), np.asarray(head_seconds, dtype=float)
    if base.shape != head.shape or base.ndim != 1 or not base.size:
        raise ValueError(f"expected as many rounds of the base as of the head, got {base.size} and {head.size}")
    if not (np.isfinite(base).all() and np.isfinite(head).all() and (base > 0).all() and (head > 0).all()):
        raise ValueError("expected times that are finite and above zero")
    return float(np.median(np.log(head) - np.log(base)))


def decide(log_ratios: Mapping[str, Sequence[float]], rule: Rule | None = None) -> dict[str, Decision]:
    """Decide every case of a gate by the rule of this module.

    Looks are evaluated in order, so stored measurements give the same decision again later. Restarts after the deciding
    look are not used.

    Args:
        log_ratios: Log ratios of the restarts in the order of measurement, by case.
        rule: Threshold, looks and error rate.

    Raises:
        ValueError: A log ratio is not finite.
    """
    return decide_in_looks(_counts(log_ratios), lambda case, restarts: _estimate(log_ratios[case][:restarts]), rule)


def decide_in_looks(
    restarts: Mapping[str, int], estimate: Callable[[str, int], Estimate], rule: Rule | None = None
) -> dict[str, Decision]:
    """Decide every case by the rule of this module, however its estimate is made.

    Args:
        restarts: The number of restarts measured of each case.
        estimate: Returns the estimate of a case from its first so many restarts.
        rule: Threshold, looks and error rate.
    """
    rule = rule or Rule()
    decisions = dict.fromkeys(restarts, Decision(Verdict.INCONCLUSIVE))
    for look, used in enumerate(rule.looks, start=1):
        judged = {
            case: estimate(case, used)
            for case, measured in restarts.items()
            if decisions[case].verdict is Verdict.INCONCLUSIVE and measured >= used
        }
        family = sum(decision.verdict is not Verdict.REGRESSED for decision in decisions.values())
        p_values = holm({case: found.p_value for case, found in judged.items()}, family=family)
        for case, found in judged.items():
            decisions[case] = _decision(found, p_values[case], rule, restarts=used, look=look)
    return decisions


def more_needed(log_ratios: Mapping[str, Sequence[float]], rule: Rule | None = None) -> dict[str, int]:
    """Return the open cases with the number of further restarts until their next look."""
    return until_next_look(decide(log_ratios, rule), _counts(log_ratios), rule)


def until_next_look(
    decisions: Mapping[str, Decision], restarts: Mapping[str, int], rule: Rule | None = None
) -> dict[str, int]:
    """Return the open cases among these with the number of further restarts until their next look."""
    rule = rule or Rule()
    needed = {}
    for case, decision in decisions.items():
        ahead = [look for look in rule.looks if look > restarts[case]]
        if decision.verdict is Verdict.INCONCLUSIVE and ahead:
            needed[case] = ahead[0] - restarts[case]
    return needed


def confirmed(first: Decision, confirming: Decision | None) -> Decision:
    """Combine a decision with that of the confirming measurement that each regression gets.

    A regression found twice is reported with the figures of the second measurement, because those of the first are
    biased upwards by selection. A regression that is not found again is inconclusive, because the two measurements
    contradict each other. Without a second measurement the decision is kept, but a regression is marked as unconfirmed.
    """
    if first.verdict is not Verdict.REGRESSED:
        return first
    found = f"first found {percent(first.ratio)} with {first.restarts} restarts"
    if confirming is None:
        return replace(first, verdict=Verdict.INCONCLUSIVE, reason=f"{found}, not measured again")
    if confirming.verdict is Verdict.REGRESSED:
        return replace(confirming, reason=f"{found}, confirmed in fresh processes")
    again = f"{found}, then {confirming.verdict.replace('_', ' ')} when measured again"
    reason = ": ".join(part for part in (again, confirming.reason) if part)
    return replace(confirming, verdict=Verdict.INCONCLUSIVE, reason=reason)


def exit_code(decisions: Iterable[Decision]) -> ExitCode:
    """Return the worst of a gate's decisions: regressed, then not comparable, then inconclusive, then passed.

    Raises:
        UsageError: There is no decision; an empty gate does not pass.
    """
    verdicts = {decision.verdict for decision in decisions}
    for verdict, code in _BY_PRECEDENCE.items():
        if verdict in verdicts:
            return code
    raise UsageError("there is no case to decide; name a model")


def holm(p_values: Mapping[str, float], *, family: int) -> dict[str, float]:
    """Return p values adjusted by Holm's step-down method.

    Args:
        p_values: The known p values.
        family: Total number of hypotheses; the others count with a p value of 1.

    Source:
        S. Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statist. 6 (1979).
    """
    absent = [1.0] * (family - len(p_values))
    return dict(zip(p_values, adjusted([*p_values.values(), *absent]), strict=False))


def percent(ratio: float | None) -> str:
    """Return a ratio of times as a change, such as ``+9.8 %``; a dash for None."""
    return "-" if ratio is None else f"{100 * (ratio - 1):+.1f} %"


def _counts(log_ratios: Mapping[str, Sequence[float]]) -> dict[str, int]:
    return {case: len(values) for case, values in log_ratios.items()}


def _estimate(log_ratios: Sequence[float]) -> Estimate:
    values = np.asarray(log_ratios, dtype=float)
    if not np.isfinite(values).all():
        raise ValueError("expected finite log ratios")
    return Estimate(float(values.mean()), float(values.std(ddof=1)) / math.sqrt(len(values)), len(values) - 1)


def _decision(estimate: Estimate, p_value: float, rule: Rule, *, restarts: int, look: int) -> Decision:
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
