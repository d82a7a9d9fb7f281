"""Counts how often what a robustness table claims is true, in synthetic worlds whose truth is known.

    python benchmarks/robustness_coverage.py [--worlds 400] [--images 100] [--facts FILE]

Each world is a table of six networks of the same true mean IoU, clean and under each of four corruptions, which take
the same from all of them. Images differ as in ``interval_coverage``: one is hard for every network, clean or corrupted.
A training shifts how well its network recognises all classes and, apart from that, how much each corruption takes from
it. The product's own code makes the table. Counted are

* coverage: how often the interval of a network's loss (corrupted less clean) holds the truth, which is the mean over
  infinitely many trainings and images;
* false turns: tables whose verdict says that the ranking changed; no order is there to change;
* false pairs: tables in which any two networks are told apart under corruption;
* power: with a seventh network that is better by 0.06 clean and worse by 0.06 under corruption, how many of the six it
  is seen to turn round with.

Ends with 1 if coverage is outside 93 to 97 %, or more tables than 5 % turn or separate falsely, by more than two
standard errors each.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
from claims import Fact, are_too_many, is_outside, judge, parser_of, with_error
from interval_coverage import CLASSES, World
from numpy.typing import NDArray

from segbench.metrics.scores import ClassCounts
from segbench.report.robustness.load import Retested, TestedRun
from segbench.report.robustness.rows import RobustnessTable
from segbench.report.robustness.table import robustness_tables
from segbench.results.retests.record import Condition

NETWORKS = 6
LOSSES = (0.05, 0.1, 0.2, 0.3)
"""What each corruption takes of the mean IoU."""
LEAD = 0.06
RESAMPLES = 500
SITUATIONS = tuple(product((2, 3, 5), (0.0, 0.01, 0.03), (0.0, 0.02)))
"""Seeds, spread of trainings, and spread of what a corruption takes from one training or another."""
CONDITIONS = tuple(Condition(kind="corruption", name=f"corruption{place}", severity=1) for place in range(len(LOSSES)))


class Seen(NamedTuple):
    """What one world showed.

    Attributes:
        held: (M,) whether each interval of a loss holds the truth.
        turned: Whether the verdict says that the ranking changed.
        separated: Whether two networks are told apart under corruption.
        power: Share of the six with which the seventh is seen to turn round.
    """

    held: NDArray[np.bool_]
    turned: bool
    separated: bool
    power: float


def main() -> int:
    given = parser_of(__doc__, worlds=400).parse_args()
    print(f"{given.worlds} worlds a row, {given.images} images, {len(LOSSES)} corruptions\n")
    columns = {
        "seeds": lambda fact: str(fact["seeds"]),
        "spread": lambda fact: f"{fact['spread']:g}",
        "spread of losses": lambda fact: f"{fact['spread_of_losses']:g}",
        "coverage of losses": lambda fact: with_error(fact, "coverage"),
        "false turns": lambda fact: f"{fact['false_turns']:.1%}",
        "false pairs": lambda fact: f"{fact['false_pairs']:.1%}",
        "power": lambda fact: f"{fact['power']:.0%}",
    }
    return judge(SITUATIONS, _look, _summed, columns, given)


def _look(situation: tuple[int, float, float], images: int, number: int) -> Seen:
    """Make one world, have the product's code judge it, and compare with the truth."""
    seeds, spread, spread_of_losses = situation
    rng = np.random.default_rng([number, seeds, round(1e4 * spread), round(1e4 * spread_of_losses)])
    world = World(rng.uniform(0.3, 2.0, CLASSES), rng.uniform(0.6, 0.8, CLASSES))
    clean = world.mean_iou(np.zeros(1))[0]
    reached = [world.mean_iou(world.shift(np.array([-loss])))[0] for loss in LOSSES]
    truth = float(np.mean(reached) - clean)
    gains = rng.normal(0, 1, (NETWORKS + 1, seeds)) * spread
    losses = np.array([0.0, *LOSSES])[:, None, None] + np.concatenate(
        [np.zeros((1, NETWORKS + 1, seeds)), rng.normal(0, 1, (len(LOSSES), NETWORKS + 1, seeds)) * spread_of_losses]
    )
    reach = gains - losses  # (conditions, networks, seeds)
    reach[0, -1] += LEAD
    reach[1:, -1] -= LEAD
    runs = _observed(world, reach, images, rng)
    table = _table(runs[:NETWORKS])
    held = [row.loss is not None and row.loss.low <= truth <= row.loss.high for row in table.rows]
    power = math.nan
    if number % 5 == 0:
        turned = [pair for pair in _table(runs).turned if pair[0] == f"network{NETWORKS}"]
        power = len(turned) / NETWORKS
    changed = bool(table.gained or table.turned or table.kept)
    return Seen(np.array(held), bool(table.turned), changed, power)


def _observed(
    world: World, reach: NDArray[np.float64], images: int, rng: np.random.Generator
) -> list[list[list[ClassCounts]]]:
    """Return by network, seed and condition the counts of the same images."""
    _, networks, seeds = reach.shape
    shifts = [world.shift(reach[:, network, seed]) for network in range(networks) for seed in range(seeds)]
    counts = world.observe(shifts, images, rng)  # by training, and in it by condition
    return [[counts[network * seeds + seed] for seed in range(seeds)] for network in range(networks)]


def _table(networks: Sequence[Sequence[Sequence[ClassCounts]]]) -> RobustnessTable:
    """Return the table that the product makes of networks."""
    names = tuple(str(place) for place in range(len(networks[0][0][0].hits)))
    runs = [
        TestedRun(
            ids=(f"network{index}-seed{seed}",),
            label=f"network{index}",
            seed=seed,
            protocol="p",
            images=names,
            groups=None,
            clean=tests[0],
            clean_calibration=None,
            conditions={condition.key: counts for condition, counts in zip(CONDITIONS, tests[1:], strict=True)},
            digests={condition.key: ("d",) for condition in CONDITIONS},
            calibration={},
            failures={},
        )
        for index, of_network in enumerate(networks)
        for seed, tests in enumerate(of_network)
    ]
    found = Retested(tuple(runs), {condition.key: condition for condition in CONDITIONS}, ())
    (table,) = robustness_tables(found, resamples=RESAMPLES)
    return table


def _summed(situation: tuple[int, float, float], worlds: Sequence[Seen]) -> Fact:
    """Return shares over worlds with their standard errors."""
    held = np.array([one.held for one in worlds])
    coverage, error = float(held.mean()), float(held.mean(axis=1).std(ddof=1) / math.sqrt(len(worlds)))
    shares = {name: float(np.mean([getattr(one, name) for one in worlds])) for name in ("turned", "separated")}
    failed = ["coverage"] if is_outside(coverage, error) else []
    failed += [name for name, share in shares.items() if are_too_many(share, len(worlds))]
    return {
        "seeds": situation[0],
        "spread": situation[1],
        "spread_of_losses": situation[2],
        "worlds": len(worlds),
        "coverage": coverage,
        "coverage_error": error,
        "false_turns": shares["turned"],
        "false_pairs": shares["separated"],
        "power": float(np.mean([one.power for one in worlds if not math.isnan(one.power)])),
        "failed": failed,
    }


if __name__ == "__main__":
    sys.exit(main())
