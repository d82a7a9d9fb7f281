"""Measures two environments with interleaved rounds of two live processes, restarted until all cases are decided."""

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
    """One of the two environments."""

    BASE = "base"
    HEAD = "head"


@dataclass(frozen=True)
class Settings:
    """The amount of measurement.

    Attributes:
        round_seconds: Target duration of a round of the base, filled with whole iterations.
        rounds: Number of rounds of each side in a restart.
        least_rounds: Smallest number of rounds, for slow cases.
        case_seconds: Duration of a case in a restart above which it gets fewer rounds.
        window_seconds: The length of a warm-up window.
        steady_tolerance: Largest relative difference of the medians of two consecutive windows.
        warm_up_seconds: Longest duration of the warm-up.
        timeout_seconds: Longest time to wait for an answer of a worker.
        seed: Seed of the order of sides and cases.
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
        """Return the number of iterations that fill a round."""
        return max(1, round(self.round_seconds / seconds))

    def rounds_of(self, seconds: float) -> int:
        """Return the number of rounds, given the seconds of one pair of rounds."""
        return max(min(self.least_rounds, self.rounds), min(self.rounds, int(self.case_seconds / seconds)))


@dataclass(frozen=True)
class Round:
    """One round of each side: the median seconds of an iteration, and which side went first."""

    base_seconds: float
    head_seconds: float
    first: Side


@dataclass(frozen=True)
class Restart:
    """Measurements of one case in one start of the two processes.

    Attributes:
        rounds: All rounds, in order.
        iterations: Number of iterations in each round.
        not_steady: Sides whose warm-up did not become steady.
        parameters: Number of learned parameters of the networks, by side.
    """

    rounds: tuple[Round, ...]
    iterations: int
    not_steady: tuple[Side, ...]
    parameters: dict[Side, int]

    @cached_property
    def log_ratio(self) -> float:
        """The median over rounds of log(head / base)."""
        return restart_log_ratio([one.base_seconds for one in self.rounds], [one.head_seconds for one in self.rounds])


@dataclass
class Measurement:
    """Measurements of several cases.

    Attributes:
        restarts: Restarts in the order of measurement, by case key.
        refused: Why a side does not have a case, by case key.
        software: Package versions, by side.
    """

    restarts: dict[str, list[Restart]]
    refused: dict[str, str] = field(default_factory=dict)
    software: dict[Side, dict[str, Any]] = field(default_factory=dict)

    @property
    def log_ratios(self) -> dict[str, list[float]]:
        """The log ratios of the restarts of each comparable case."""
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
    """Measure cases in fresh processes, restarted until each case is decided or the last look is done.

    Raises:
        UsageError: There is no case, or neither side can build any.
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
    """Build a case on both sides in the given order; return each side's answer.

    Raises:
        UsageError: Neither side has the case, so the case is wrong.
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
    """Build and warm up both sides, then measure in alternating rounds."""
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
    """Return a progress message."""
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
