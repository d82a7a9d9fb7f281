"""Counts how often what a joint view of several tables claims is true, in synthetic worlds whose truth is known.

    python benchmarks/joint_coverage.py [--worlds 400] [--images 100] [--facts FILE]

Each world is four networks that are trained several times in each of 3 or 15 tables, such as data sets, or recipes on
one data set. Images are those of ``interval_coverage``: one is hard for every network, in every table. Each training
shifts its network's mean IoU by an amount of its own. The product's own code compares the networks of each table. There
are four kinds of worlds:

* equal: all networks are equal in all tables. Any two that are told apart anywhere are a false claim.
* close: they are 0.01 apart, in the same order everywhere. Any order that is told the other way is false.
* shared: as equal, but half of the variance of a training comes from its seed, the same for all tables.
* turned: two networks are 0.06 apart, in half of the tables one way and in the others the other way; the other two are
  equal to each other, and 0.2 behind. Counted is how often it is told that their order turns (power).

False claims are worlds in which any table tells a false order, so that the ranks of at least one network are wrong.
False turns are worlds in which an order is told to turn that does not.

Ends with 1 if more worlds than 5 % have either, by more than two standard errors.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from itertools import combinations, product
from typing import NamedTuple

import numpy as np
from claims import Fact, are_too_many, judge, parser_of
from interval_coverage import CLASSES, World
from numpy.typing import NDArray

from segbench.report.joint.orders import order_of
from segbench.report.ranking.intervals import certainty

NETWORKS = 4
APART, BEHIND = 0.06, -0.2
RESAMPLES = 500
KINDS = ("equal", "close", "shared", "turned")
SITUATIONS = tuple(product(KINDS, (3, 15), (2, 3, 5), (0.0, 0.01, 0.03)))
"""Kind of world, tables, seeds, and spread of trainings."""


class Situation(NamedTuple):
    """What the worlds of a row have in common.

    Attributes:
        kind: One of ``KINDS``.
        tables: How many tables.
        seeds: How many trainings of each network in each.
        spread: The standard deviation of their mean IoU.
    """

    kind: str
    tables: int
    seeds: int
    spread: float


class Seen(NamedTuple):
    """What one world showed.

    Attributes:
        false: Whether any table tells an order that is not there.
        turned_falsely: Whether an order is told to turn that does not.
        told: Whether the order that turns is told to; None where none does.
    """

    false: bool
    turned_falsely: bool
    told: bool | None


def main() -> int:
    given = parser_of(__doc__, worlds=400).parse_args()
    print(f"{given.worlds} worlds a row, {given.images} test images, {NETWORKS} networks\n")
    columns = {
        "world": lambda fact: str(fact["kind"]),
        "tables": lambda fact: str(fact["tables"]),
        "seeds": lambda fact: str(fact["seeds"]),
        "spread": lambda fact: f"{fact['spread']:g}",
        "false claims": lambda fact: f"{fact['false_claims']:.1%}",
        "false turns": lambda fact: f"{fact['false_turns']:.1%}",
        "power": lambda fact: "" if fact["power"] is None else f"{fact['power']:.0%}",
    }
    return judge([Situation(*one) for one in SITUATIONS], _look, _summed, columns, given, words=["world"])


def gains_of(kind: str, tables: int) -> NDArray[np.float64]:
    """Return the (M, T) true mean IoU of each network in each table, less that of an ordinary network."""
    gains = np.zeros((NETWORKS, tables))
    if kind == "close":
        gains -= 0.01 * np.arange(NETWORKS)[:, None]
    if kind == "turned":
        gains[2:] = BEHIND
        gains[1, : tables // 2], gains[0, tables // 2 :] = -APART, -APART
    return gains


def _look(situation: Situation, images: int, number: int) -> Seen:
    """Make one world, have the product's code compare its networks, and hold that against the truth."""
    kind, tables, seeds, spread = situation
    rng = np.random.default_rng([number, KINDS.index(kind), tables, seeds, round(1e4 * spread)])
    world = World(rng.uniform(0.3, 2.0, CLASSES), rng.uniform(0.65, 0.8, CLASSES))
    gains = gains_of(kind, tables)
    drawn = gains[:, :, None] + spread * _trainings(kind, tables, seeds, rng)
    shifts = [world.shift(drawn[network, table]) for table in range(tables) for network in range(NETWORKS)]
    observed = world.observe(shifts, images, rng)
    judged = [certainty(observed[NETWORKS * table :][:NETWORKS], resamples=RESAMPLES) for table in range(tables)]
    leads = [order_of(NETWORKS, one.pairs, tables=tables).leads for one in judged]
    pairs = list(combinations(range(NETWORKS), 2))
    told = np.array([[leads[table][pair] for table in range(tables)] for pair in pairs])
    true = np.array([np.sign(np.round(gains[one] - gains[other], 9)) for one, other in pairs])
    turns = {pair for pair, row in zip(pairs, told, strict=True) if {-1, 1} <= set(row.tolist())}
    turning = {(0, 1)} if kind == "turned" else set()
    false = bool(((told != 0) & (told != true)).any())
    return Seen(false, bool(turns - turning), turning <= turns if turning else None)


def _trainings(kind: str, tables: int, seeds: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return (M, T, S) shifts of trainings, of variance 1."""
    own = rng.normal(size=(NETWORKS, tables, seeds))
    of_seed = rng.normal(size=(NETWORKS, 1, seeds))
    return (own + of_seed) / math.sqrt(2) if kind == "shared" else own


def _summed(situation: Situation, worlds: Sequence[Seen]) -> Fact:
    """Return shares over worlds."""
    shares = {
        "false_claims": float(np.mean([one.false for one in worlds])),
        "false_turns": float(np.mean([one.turned_falsely for one in worlds])),
    }
    told = [one.told for one in worlds if one.told is not None]
    return {
        **situation._asdict(),
        "worlds": len(worlds),
        **shares,
        "power": float(np.mean(told)) if told else None,
        "failed": [name for name, share in shares.items() if are_too_many(share, len(worlds))],
    }


if __name__ == "__main__":
    sys.exit(main())
