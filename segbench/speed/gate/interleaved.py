"""Measures two environments against each other: live processes that take turns, restarted until all is decided."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from statistics import median
from typing import Any

from segbench.errors import UsageError
from segbench.speed.gate.decision import Rule, decide, more_needed, percent, restart_log_ratio
from segbench.speed.gate.environments import Environment
from segbench.speed.gate.gate_case import GateCase, check_cases
from segbench.speed.gate.worker_client import Refused, Worker

Tell = Callable[[str], None]


class Side(StrEnum):
    """Which of the two."""

    BASE = "base"
    HEAD = "head"


@dataclass(frozen=True)
class Settings:
    """How much is measured.

    Attributes:
        round_seconds: What one round of the base should take; it is filled with whole iterations.
        rounds: Rounds of each side in a restart.
        least_rounds: As few rounds as a slow case may have.
        case_seconds: What a case may take in a restart before it gets fewer rounds.
        window_seconds: The length of a warm-up window.
        steady_tolerance: How far the medians of two consecutive windows may be apart.
        warm_up_seconds: How long warming up may take.
        timeout_seconds: How long one answer of a worker may take.
        seed: Of the order of sides and cases.
    """

    round_seconds: float = 0.03
    rounds: int = 24
    least_rounds: int = 15
    case_seconds: float = 10.0
    window_seconds: float = 0.2
    steady_tolerance: float = 0.02
    warm_up_seconds: float = 3.0
    timeout_seconds: float = 120.0
    seed: int = 0

    def iterations(self, seconds: float) -> int:
        """Return how many iterations of so many seconds fill a round."""
        return max(1, round(self.round_seconds / seconds))

    def rounds_of(self, seconds: float) -> int:
        """Return how many rounds there are when one pair of them takes so many seconds."""
        return max(min(self.least_rounds, self.rounds), min(self.rounds, int(self.case_seconds / seconds)))


@dataclass(frozen=True)
class Round:
    """One turn of each side: the median seconds of an iteration, and who went first."""

    base_seconds: float
    head_seconds: float
    first: Side


@dataclass(frozen=True)
class Restart:
    """What one start of the two processes measured of one case.

    Attributes:
        rounds: All rounds, in order.
        iterations: Iterations in every round of either side.
        not_steady: Sides whose warm-up did not settle.
        parameters: The networks' learned parameters, by side.
    """

    rounds: tuple[Round, ...]
    iterations: int
    not_steady: tuple[Side, ...]
    parameters: dict[Side, int]

    @cached_property
    def log_ratio(self) -> float:
        """The statistic: the median over the rounds of log(head / base)."""
        return restart_log_ratio([one.base_seconds for one in self.rounds], [one.head_seconds for one in self.rounds])


@dataclass
class Measurement:
    """What was measured of several cases.

    Attributes:
        restarts: By case key, in the order of measurement.
        refused: By case key: why a side does not have the case.
        software: By side: versions of what ran.
    """

    restarts: dict[str, list[Restart]]
    refused: dict[str, str] = field(default_factory=dict)
    software: dict[Side, dict[str, Any]] = field(default_factory=dict)

    @property
    def log_ratios(self) -> dict[str, list[float]]:
        """By comparable case: the statistic of every restart."""
        return {
            key: [restart.log_ratio for restart in restarts]
            for key, restarts in self.restarts.items()
            if key not in self.refused
        }


def measure(
    base: Environment,
    head: Environment,
    *,
    cases: Sequence[GateCase],
    rule: Rule,
    settings: Settings,
    tell: Tell = lambda text: None,
) -> Measurement:
    """Measure cases in fresh processes, with restarts until each is decided or no more are allowed.

    Raises:
        UsageError: There is no case, or no case that either side can build.
        WorkerError: A worker crashed, hung or failed.
    """
    order = random.Random(settings.seed)  # noqa: S311 - an order, not a secret
    by_key = {case.key: case for case in check_cases(tuple(cases))}
    found = Measurement({key: [] for key in by_key})
    while needed := more_needed(found.log_ratios, rule):
        open_cases = [by_key[key] for key in needed]
        order.shuffle(open_cases)
        _restart(base, head, cases=open_cases, settings=settings, order=order, found=found)
        tell(_progress(found, [case.key for case in open_cases], rule))
    return found


def _restart(
    base: Environment,
    head: Environment,
    *,
    cases: Sequence[GateCase],
    settings: Settings,
    order: random.Random,
    found: Measurement,
) -> None:
    """Start both processes and measure every case once in them."""
    environments = {Side.BASE: base, Side.HEAD: head}
    threads = max(case.threads for case in cases)
    sides = order.sample(list(Side), k=2)
    with ExitStack() as stack:
        workers = {
            side: stack.enter_context(
                Worker(side, environments[side], threads=threads, timeout_seconds=settings.timeout_seconds)
            )
            for side in sides
        }
        for worker in workers.values():
            worker.begin("load", devices=sorted({case.device for case in cases}))
        found.software = {side: worker.answer("load") for side, worker in workers.items()}
        for case in cases:
            try:
                found.restarts[case.key].append(_measure_case(workers, case, settings=settings, order=order))
            except Refused as refusal:
                found.refused[case.key] = str(refusal)


def _build(workers: dict[Side, Worker], case: GateCase) -> dict[Side, dict[str, Any]]:
    """Build a case on both sides, in the given order; return what each says of it.

    Raises:
        UsageError: Neither side has the case: the mistake is in the case.
        Refused: The sides cannot be compared in this case.
    """
    built, refusals = {}, {}
    for side, worker in workers.items():
        try:
            built[side] = worker.ask("build", case=case.key, case_document=case.document())
        except Refused as refusal:
            refusals[side] = str(refusal)
    if not built:
        raise UsageError(f"{case.key}: neither side can build it: {refusals[Side.HEAD]}")
    if refusals:
        raise Refused("; ".join(refusals.values()))
    base, head = built[Side.BASE]["output"], built[Side.HEAD]["output"]
    if base != head:
        raise Refused(f"they return different things: logits of shape {base} in base, {head} in head")
    return built


def _measure_case(workers: dict[Side, Worker], case: GateCase, *, settings: Settings, order: random.Random) -> Restart:
    """Build and warm up both sides, then let them take turns."""
    built = _build(workers, case)
    warm = {
        side: worker.ask(
            "warm_up",
            case=case.key,
            window_seconds=settings.window_seconds,
            tolerance=settings.steady_tolerance,
            most_seconds=settings.warm_up_seconds,
        )
        for side, worker in workers.items()
    }
    seconds = {side: float(answer["median_seconds"]) for side, answer in warm.items()}
    iterations = settings.iterations(seconds[Side.BASE])
    count = settings.rounds_of(iterations * sum(seconds.values()))
    return Restart(
        rounds=tuple(_round(workers, case, iterations=iterations, order=order) for _ in range(count)),
        iterations=iterations,
        not_steady=tuple(side for side in Side if not warm[side]["steady"]),
        parameters={side: int(built[side]["parameters"]) for side in Side},
    )


def _round(workers: dict[Side, Worker], case: GateCase, *, iterations: int, order: random.Random) -> Round:
    sides = order.sample(list(Side), k=2)
    seconds = {
        side: median(workers[side].ask("time", case=case.key, iterations=iterations)["seconds"]) for side in sides
    }
    return Round(seconds[Side.BASE], seconds[Side.HEAD], first=sides[0])


def _progress(found: Measurement, keys: Sequence[str], rule: Rule) -> str:
    """Say how far a measurement is, for people who wait."""
    decisions = decide(found.log_ratios, rule)
    parts = []
    for key in keys:
        if key in found.refused:
            parts.append(f"{key} not comparable")
            continue
        last, decision = found.restarts[key][-1], decisions[key]
        what = f", {decision.verdict}" if decision.restarts == len(found.restarts[key]) else ""
        parts.append(f"{key} {percent(math.exp(last.log_ratio))}{what}")
    count = max(len(restarts) for restarts in found.restarts.values())
    return f"restart {count}: " + "; ".join(parts)
