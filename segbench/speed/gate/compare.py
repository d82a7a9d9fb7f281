"""Compares two environments case by case, and measures how well a machine can."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from segbench.results.environment import capture
from segbench.speed.gate.decision import Decision, ExitCode, Rule, Verdict, confirmed, decide, exit_code
from segbench.speed.gate.environments import Environment
from segbench.speed.gate.gate_case import GateCase
from segbench.speed.gate.interleaved import Measurement, Restart, Settings, Side, Tell, measure
from segbench.speed.gate.power import smallest_found

_SEED_STEP = 1_000_003
"""Between the seeds of a measurement and of its confirmation."""


@dataclass(frozen=True)
class CaseResult:
    """What a gate found about one case.

    Attributes:
        case: What was measured.
        decision: The outcome.
        first: The outcome before it was confirmed; the same where there was nothing to confirm.
        restarts: All that was measured.
        confirming_restarts: All that was measured when confirming a regression.
    """

    case: GateCase
    decision: Decision
    first: Decision
    restarts: tuple[Restart, ...] = ()
    confirming_restarts: tuple[Restart, ...] = ()

    @property
    def log_ratios(self) -> tuple[float, ...]:
        """The statistic of every restart of the first measurement."""
        return tuple(restart.log_ratio for restart in self.restarts)


@dataclass(frozen=True)
class GateResult:
    """All that a gate measured and decided.

    Attributes:
        base: What was compared with.
        head: What may have become slower.
        cases: In the order in which they were given.
        rule: By which it was decided.
        settings: How it was measured.
        machine: The fingerprint of where.
        software: By side: versions of what ran.
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
        """What the gate tells the shell."""
        return exit_code(result.decision for result in self.cases)


@dataclass(frozen=True)
class NoiseFloor:
    """How far a machine's restarts scatter where nothing differs.

    Attributes:
        case: What was measured.
        spread: The standard deviation of a restart's log ratio.
        bias: The mean log ratio, which should be zero within the spread.
        smallest_slowdown: What a gate finds in 95 of 100 cases, as a share; None when it is out of reach.
        restarts: All that was measured.
    """

    case: GateCase
    spread: float
    bias: float
    smallest_slowdown: float | None
    restarts: tuple[Restart, ...]


@dataclass(frozen=True)
class Calibration:
    """The noise floor of a machine, for each case."""

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
    """Decide for every case whether the head is slower than the base; a regression is measured twice.

    Args:
        base: What to compare with.
        head: What may have become slower.
        cases: What to measure; every model has to be known to both sides.
        rule: Threshold, looks and error rate.
        settings: How much is measured, and the seed of all orders.
        tell: Is told of every restart.

    Raises:
        UsageError: There is no case, or one that neither side can build.
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
    """Measure an environment against itself: what differs then is the machine's noise.

    Args:
        environment: What to measure.
        cases: What to measure in it.
        restarts: How many; the spread of 8 is known to about a quarter.
        rule: Of the gate whose reach is told.
        settings: How much is measured in a restart.
        tell: Is told of every restart.

    Raises:
        UsageError: There is no case, one cannot be built, or fewer than two restarts are wanted.
        WorkerError: A worker crashed, hung or failed.
    """
    rule, settings = rule or Rule(), settings or Settings()
    once = replace(rule.limited(restarts), looks=(restarts,))  # nothing is decided before all restarts are made
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
