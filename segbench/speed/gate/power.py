"""Computes the slowdown that a gate can detect, given the noise of a machine."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from segbench.speed.gate.decision import Decision, Rule, Verdict, confirmed, decide

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
