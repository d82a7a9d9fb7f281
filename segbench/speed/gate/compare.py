"""Compares the speed of two environments, and calibrates the noise of a machine."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segbench.results.environment import capture
from segbench.speed.gate.decision import Decision, ExitCode, Rule, Verdict, confirmed, decide, exit_code
from segbench.speed.gate.environments import Environment
from segbench.speed.gate.gate_case import GateCase
from segbench.speed.gate.interleaved import Measurement, Restart, Settings, Side, Tell, measure

_SEED_STEP = 1_000_003
"""Offset between the seeds of a measurement and of its confirmation."""


@dataclass(frozen=True)
class CaseResult:
    """The gate's result for one case.

    Attributes:
        case: What was measured.
        decision: The outcome.
        first: The decision before confirmation; equal to ``decision`` if nothing was confirmed.
        restarts: All measured restarts.
        confirming_restarts: All restarts measured to confirm a regression.
    """

    case: GateCase
    decision: Decision
    first: Decision
    restarts: tuple[Restart, ...] = ()
    confirming_restarts: tuple[Restart, ...] = ()

    @property
    def log_ratios(self) -> tuple[float, ...]:
        """The log ratios of the restarts of the first measurement."""
        return tuple(restart.log_ratio for restart in self.restarts)


@dataclass(frozen=True)
class GateResult:
    """All measurements and decisions of a gate.

    Attributes:
        base: The environment compared with.
        head: The environment that may have become slower.
        cases: The results, in the order given.
        rule: The decision rule.
        settings: The settings of the measurement.
        machine: The machine's fingerprint.
        software: Package versions, by side.
    """

    base: Environment
    head: Environment
    cases: tuple[CaseResult, ...]
    rule: Rule
    settings: Settings
    machine: Mapping[str, Any]
    software: Mapping[Side, Mapping[str, Any]]

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of the command."""
        return exit_code(result.decision for result in self.cases)


@dataclass(frozen=True)
class NoiseFloor:
    """Variation between restarts on one machine when nothing differs.

    Attributes:
        case: What was measured.
        spread: The standard deviation of a restart's log ratio.
        bias: The mean log ratio; should be zero within the spread.
        smallest_slowdown: Smallest slowdown (as a fraction) that a gate detects in 95 % of cases; None if it detects
            none so often.
        restarts: All measured restarts.
    """

    case: GateCase
    spread: float
    bias: float
    smallest_slowdown: float | None
    restarts: tuple[Restart, ...]


@dataclass(frozen=True)
class Calibration:
    """The noise floor of a machine for each case."""

    environment: Environment
    cases: tuple[NoiseFloor, ...]
    rule: Rule
    settings: Settings
    machine: Mapping[str, Any]


def compare(
    base: Environment,
    head: Environment,
    *,
    cases: Sequence[GateCase],
    rule: Rule | None = None,
    settings: Settings | None = None,
    tell: Tell = lambda text: None,
) -> GateResult:
    """Decide for each case whether the head is slower than the base; regressions are confirmed by a second measurement.

    Args:
        base: The environment to compare with.
        head: The environment that may have become slower.
        cases: The cases to measure; both sides must have all models.
        rule: Threshold, looks and error rate.
        settings: The amount of measurement, and the seed of all random orders.
        tell: Called with a message for each restart.

    Raises:
        UsageError: There is no case, or neither side can build a case.
        WorkerError: A worker crashed, hung or failed.
    """
    rule, settings = rule or Rule(), settings or Settings()
    measured = measure(base, head, cases=cases, rule=rule, settings=settings, tell=tell)
    decisions = _decided(measured, rule)
    slower = [case for case in cases if decisions[case.key].verdict is Verdict.REGRESSED]
    again = Measurement({})
    if slower:
        tell(f"to confirm: {', '.join(case.key for case in slower)}")
        reseeded = replace(settings, seed=settings.seed + _SEED_STEP)
        again = measure(base, head, cases=slower, rule=rule, settings=reseeded, tell=tell)
    second = _decided(again, rule)
    results = []
    for case in cases:
        first = decisions[case.key]
        results.append(
            CaseResult(
                case=case,
                decision=confirmed(first, second.get(case.key)),
                first=first,
                restarts=tuple(measured.restarts[case.key]),
                confirming_restarts=tuple(again.restarts.get(case.key, ())),
            )
        )
    return GateResult(
        base=base,
        head=head,
        cases=tuple(results),
        rule=rule,
        settings=settings,
        machine=_machine(cases),
        software=measured.software,
    )


def calibrate(
    environment: Environment,
    cases: Sequence[GateCase],
    *,
    restarts: int = 8,
    rule: Rule | None = None,
    settings: Settings | None = None,
    tell: Tell = lambda text: None,
) -> Calibration:
    """Compare an environment with itself to measure the machine's noise.

    Args:
        environment: The environment to measure.
        cases: The cases to measure.
        restarts: Number of restarts; with 8, the relative error of the spread is about 25 %.
        rule: The rule of the gate whose sensitivity is computed.
        settings: The amount of measurement in a restart.
        tell: Called with a message for each restart.

    Raises:
        UsageError: There is no case, one cannot be built, or ``restarts`` is less than 2.
        WorkerError: A worker crashed, hung or failed.
    """
    rule, settings = rule or Rule(), settings or Settings()
    once = replace(rule.limited(restarts), looks=(restarts,))  # nothing is decided before all restarts are done
    measured = measure(environment, environment, cases=cases, rule=once, settings=settings, tell=tell)
    return Calibration(
        environment=environment,
        cases=tuple(_noise_floor(case, measured.restarts[case.key], len(cases), rule) for case in cases),
        rule=rule,
        settings=settings,
        machine=_machine(cases),
    )


def _decided(measured: Measurement, rule: Rule) -> dict[str, Decision]:
    refused = {key: Decision(Verdict.NOT_COMPARABLE, reason=reason) for key, reason in measured.refused.items()}
    return {**decide(measured.log_ratios, rule), **refused}


def _noise_floor(case: GateCase, restarts: Sequence[Restart], cases: int, rule: Rule) -> NoiseFloor:
    log_ratios = np.array([restart.log_ratio for restart in restarts])
    spread = float(log_ratios.std(ddof=1))
    return NoiseFloor(
        case=case,
        spread=spread,
        bias=float(log_ratios.mean()),
        smallest_slowdown=smallest_found(spread, cases=cases, rule=rule),
        restarts=tuple(restarts),
    )


def _machine(cases: Sequence[GateCase]) -> dict[str, Any]:
    devices = {case.device for case in cases}
    device = next((name for name in sorted(devices, reverse=True)), None)  # cuda before cpu
    return capture(device, threads=max(case.threads for case in cases))


GATES = 200
"""Simulations per slowdown; the fraction detected is then accurate to about 2 percentage points."""

_STEPS = 10
_LARGEST = math.log(4)


def smallest_found(spread: float, *, cases: int = 1, rule: Rule | None = None, share: float = 0.95) -> float | None:
    """Return the smallest slowdown that a gate with confirmation detects with a given power, by simulation.

    Args:
        spread: The standard deviation of a restart's log ratio.
        cases: Number of cases in the gate; the others are assumed to be unchanged.
        rule: The gate's rule.
        share: The power: fraction of gates that report the slower case as regressed.

    Returns:
        The slowdown as a fraction (0.1 is 10 % more time); None if even four times the time is not detected as often.
    """
    rule = rule or Rule()
    noise = spread * np.random.default_rng(0).standard_normal((GATES, 2, cases, rule.looks[-1]))
    low, high = 0.0, _LARGEST
    if _share_found(noise, high, rule) < share:
        return None
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if _share_found(noise, middle, rule) >= share else (middle, high)
    return math.expm1(high)


def _share_found(noise: NDArray[np.float64], slowdown: float, rule: Rule) -> float:
    found = [_gate(one, slowdown, rule).verdict is Verdict.REGRESSED for one in noise]
    return sum(found) / len(found)


def _gate(noise: NDArray[np.float64], slowdown: float, rule: Rule) -> Decision:
    """Simulate one gate with confirmation whose first case is slower; ``noise`` has shape (2, cases, restarts)."""
    first, second = ({str(case): values for case, values in enumerate(part.tolist())} for part in noise)
    first["0"] = [value + slowdown for value in first["0"]]
    decision = decide(first, rule)["0"]
    if decision.verdict is not Verdict.REGRESSED:
        return decision
    again = {"0": [value + slowdown for value in second["0"]]}
    return confirmed(decision, decide(again, rule)["0"])
