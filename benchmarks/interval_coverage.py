"""Counts how often what a leaderboard claims is true, in synthetic worlds whose truth is known.

    python benchmarks/interval_coverage.py [--worlds 1000] [--images 100] [--prior N] [--facts FILE]

Each world is a table of nine networks of the same true mean IoU, tested on the same images. Images differ in which
classes they show and in how well each class is recognised, for all networks alike; a training shifts how well its
network recognises all classes, by a given spread of mean IoU, and errs on images of its own. The leaderboard's own code
makes the table. Counted are

* coverage: how often the interval of a network's mean IoU holds the truth, over all networks and, where some scatter
  further or have one seed only, of these alone; of several seeds, the truth is the mean over infinitely many trainings
  and images; of one seed, where the table
  speaks of these weights, it is that of these weights over infinitely many images;
* coverage of the interval of a difference, over all 36 pairs;
* tables with any false separation: two networks, equally good, that are told apart;
* power: of a tenth network that is better by 0.02, how many of eight others it is told apart from.

Ends with 1 if a coverage, over all networks, those alone or all pairs, is outside 93 to 97 %, or more tables than 5 %
separate falsely, by more than two standard errors each. A row that fails stays in the table.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from segbench.cli.terminal.output import write_table
from segbench.metrics import trainings
from segbench.metrics.resampling import counts_by_image
from segbench.metrics.scores import ClassCounts, summary_scores
from segbench.report.ranking.intervals import certainty

CLASSES = 6
PIXELS = 10_000
NETWORKS = 9
RESAMPLES = 500
"""In each world; leaderboards draw from 1,000 to 10,000, which is surer."""
LEAD = 0.02
"""By how much the tenth network is better than the nine."""
POWER_WORLDS = 5
"""The better network is looked for in every fifth world."""
COVERAGE = (0.93, 0.97)
FALSE_TABLES = 0.05
UNEQUAL = 4.0
"""How many times as far as those of the others the trainings of some networks scatter, in worlds that say so."""


@dataclass(frozen=True)
class Situation:
    """One row of the table.

    Attributes:
        seeds: Seeds of every network.
        spread: Standard deviation of mean IoU over trainings; of the others, where some scatter further.
        wild: How many networks scatter ``UNEQUAL`` times as far.
        lone: How many of the networks have one seed only.
        networks: How many networks the table has.
    """

    seeds: int
    spread: float
    wild: int = 0
    lone: int = 0
    networks: int = NETWORKS

    @property
    def spreads(self) -> NDArray[np.float64]:
        """(M + 1,) the spread of each network, that of the better one last."""
        return self.spread * np.array([UNEQUAL] * self.wild + [1.0] * (self.networks - self.wild + 1))

    @property
    def seeds_of(self) -> list[int]:
        """The seeds of each network, those of the better one last; the last of the equal ones are the lone ones."""
        return [self.seeds] * (self.networks - self.lone) + [1] * self.lone + [self.seeds]

    @property
    def special(self) -> slice:
        """The networks that scatter further than the others, or have one seed only."""
        return slice(0, self.wild) if self.wild else slice(self.networks - self.lone, self.networks)

    def __str__(self) -> str:
        others = f"{self.wild} of {self.networks} at {UNEQUAL * self.spread:g}" if self.wild else "equal"
        lone = f", {self.lone} with one seed" if self.lone else ""
        few = f", {self.networks} networks" if self.networks != NETWORKS and not self.wild else ""
        return f"{others}{lone}{few}"


SITUATIONS = (
    *(Situation(1, spread) for spread in (0.0, 0.01, 0.03)),
    *(Situation(seeds, spread) for seeds in (2, 3, 5) for spread in (0.0, 0.005, 0.01, 0.03)),
    *(Situation(seeds, spread, wild=wild) for seeds in (2, 3, 5) for wild in (1, 3) for spread in (0.0025, 0.0075)),
    *(Situation(3, spread, lone=1) for spread in (0.0, 0.01)),
    *(Situation(seeds, 0.01, lone=lone) for lone in (6, 7, 8) for seeds in (2, 3)),
    *(Situation(seeds, 0.01, lone=1, networks=2) for seeds in (2, 3)),
    *(Situation(seeds, 0.01, networks=networks) for seeds in (2, 3) for networks in (2, 4)),
)


class Found(NamedTuple):
    """What one world showed.

    Attributes:
        held: (M,) whether each network's interval holds the truth.
        held_differences: Share of the pairs whose interval holds 0; NaN where no pair is compared.
        separated: Whether any two networks are told apart; all are equally good.
        power: Share of the others that the better network is told apart from.
    """

    held: NDArray[np.bool_]
    held_differences: float
    separated: bool
    power: float


@dataclass(frozen=True)
class World:
    """How images and networks behave.

    Attributes:
        shares: (C,) Dirichlet weights of the classes in an image.
        recalls: (C,) mean share of a class's pixels that a network recognises.
    """

    shares: NDArray[np.float64]
    recalls: NDArray[np.float64]

    def mean_iou(self, shifts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mean IoU over infinitely many images of networks whose recalls are shifted by (K,) values."""
        recalls = self.recalls + np.asarray(shifts)[:, None]
        labelled = np.broadcast_to(self.shares / self.shares.sum(), recalls.shape)
        missed = labelled * (1 - recalls)
        predicted = labelled * recalls + (missed.sum(axis=1, keepdims=True) - missed) / (CLASSES - 1)
        return summary_scores(ClassCounts(labelled * recalls, labelled, predicted)).mean_iou

    def shift(self, gains: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the shifts of recalls that raise the mean IoU by so much."""
        grid = np.linspace(-0.3, 0.14, 441)
        curve = self.mean_iou(grid)
        return np.interp(self.mean_iou(np.zeros(1))[0] + gains, curve, grid)

    def observe(
        self, shifts: Sequence[NDArray[np.float64]], images: int, rng: np.random.Generator
    ) -> list[list[ClassCounts]]:
        """Return by network and seed the counts of the same images."""
        pixels = PIXELS * rng.dirichlet(self.shares, size=images)
        difficulty = rng.normal(0, 0.08, size=(images, CLASSES))  # an image is hard for every network
        return [[self._counts(pixels, difficulty, shift, rng) for shift in of_network] for of_network in shifts]

    def _counts(
        self, pixels: NDArray[np.float64], difficulty: NDArray[np.float64], shift: float, rng: np.random.Generator
    ) -> ClassCounts:
        own = rng.normal(0, 0.05, size=difficulty.shape)
        return counts_by_image(_matrices(pixels, self.recalls + shift + difficulty + own))


def main() -> int:
    arguments = _arguments()
    print(f"{arguments.worlds} worlds a row, {arguments.images} images, {RESAMPLES} resamples in each\n")
    rows, facts, good = [], [], True
    with ProcessPoolExecutor(arguments.jobs, initializer=_use_prior, initargs=(arguments.prior,)) as pool:
        for situation in SITUATIONS:
            if arguments.seeds and situation.seeds not in arguments.seeds:
                continue
            one = partial(_look, situation, arguments.images)
            fact = _summed(situation, pool.map(one, range(arguments.worlds), chunksize=20))
            facts.append(fact)
            rows.append(_row(situation, fact))
            good &= not fact["failed"]
            print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
    titles = ["seeds", "spread", "trainings", "coverage", "of these", "of differences", "false tables", "power", ""]
    write_table(titles, rows, right=("seeds", "spread", *titles[3:8]))
    print(
        f"wanted: coverage {COVERAGE[0]:.0%} to {COVERAGE[1]:.0%}, false tables at most {FALSE_TABLES:.0%}, "
        "each give or take two standard errors"
    )
    if arguments.facts:
        arguments.facts.write_text("".join(json.dumps(_without_nan(fact)) + "\n" for fact in facts), encoding="utf-8")
    return 0 if good else 1


def _use_prior(freedom: float | None) -> None:
    if freedom is not None:
        trainings.PRIOR_FREEDOM, trainings.PRIOR_SHARE = freedom, math.inf


def _look(situation: Situation, images: int, number: int) -> Found:
    """Make one world, have the leaderboard's code judge it, and compare with the truth."""
    own = (situation.seeds, situation.wild, situation.lone, situation.networks, round(1e4 * situation.spread))
    rng = np.random.default_rng([number, *own])
    world = World(rng.uniform(0.3, 2.0, CLASSES), rng.uniform(0.5, 0.8, CLASSES))
    known = zip(situation.spreads, situation.seeds_of, strict=True)
    gains = [spread * rng.normal(size=seeds) for spread, seeds in known]
    shifts = [world.shift(gain) for gain in (*gains[:-1], gains[-1] + LEAD)]
    runs = world.observe(shifts, images, rng)
    table = certainty(runs[:-1], resamples=RESAMPLES)
    calm = situation.wild  # the first that scatters as the others do makes room for the better one
    found = _told_apart([*runs[:calm], *runs[calm + 1 :]]) if number % POWER_WORLDS == 0 and situation.seeds > 1 else []
    expected = float(world.mean_iou(np.zeros(1))[0])  # gains have mean 0: over trainings, this is the mean
    of_weights = [float(world.mean_iou(shift)[0]) for shift in shifts[:-1]]
    truths = of_weights if table.rows[0]["scope"] == "weights" else [expected] * situation.networks
    held = [row["mean_iou_low"] <= truth <= row["mean_iou_high"] for row, truth in zip(table.rows, truths, strict=True)]
    return Found(
        np.array(held),
        _mean([pair.interval.low <= 0 <= pair.interval.high for pair in table.pairs]),
        any(pair.separable for pair in table.pairs),
        _mean(found),
    )


def _mean(found: Sequence[bool]) -> float:
    return float(np.mean(found)) if found else math.nan


def _told_apart(networks: list[list[ClassCounts]]) -> list[bool]:
    """Return of each network but the last whether the last one is told apart from it."""
    last = len(networks) - 1
    pairs = certainty(networks, resamples=RESAMPLES).pairs
    return [pair.separable for pair in pairs if last in (pair.first, pair.second)]


def _summed(situation: Situation, found: Iterable[Found]) -> dict[str, object]:
    """Return shares over worlds with their standard errors."""
    worlds = list(found)
    held = np.array([one.held for one in worlds])
    coverage, error = float(held.mean()), _error(held.mean(axis=1))
    special = held[:, situation.special]
    of_special = (float(special.mean()), _error(special.mean(axis=1))) if special.size else (math.nan, math.nan)
    differences = np.array([one.held_differences for one in worlds])
    false = float(np.mean([one.separated for one in worlds]))
    false_error = math.sqrt(max(false, FALSE_TABLES) * (1 - max(false, FALSE_TABLES)) / len(worlds))
    power = np.array([one.power for one in worlds if not math.isnan(one.power)])
    coverages = {
        "coverage": (coverage, error),
        "coverage of these": of_special,
        "differences": (float(differences.mean()), _error(differences)),
    }
    reasons = [name for name, (share, own) in coverages.items() if _outside(share, own)]
    reasons += ["false tables"] if false > FALSE_TABLES + 2 * false_error else []
    return {
        "seeds": situation.seeds,
        "spread": situation.spread,
        "trainings": str(situation),
        "networks": situation.networks,
        "worlds": len(worlds),
        "coverage": coverage,
        "coverage_error": error,
        "special_coverage": of_special[0],
        "special_coverage_error": of_special[1],
        "difference_coverage": float(differences.mean()),
        "difference_coverage_error": _error(differences),
        "false_tables": false,
        "false_tables_error": false_error,
        "power": float(power.mean()) if power.size else math.nan,
        "power_error": _error(power),
        "failed": reasons,
    }


def _outside(share: float, error: float) -> bool:
    return not math.isnan(share) and not COVERAGE[0] - 2 * error <= share <= COVERAGE[1] + 2 * error


def _without_nan(fact: dict[str, object]) -> dict[str, object]:
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in fact.items()}


def _error(values: NDArray[np.float64]) -> float:
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan


def _row(situation: Situation, fact: dict[str, object]) -> list[str]:
    shown = [
        f"{fact['coverage']:.1%} ± {fact['coverage_error']:.1%}",
        _share(fact["special_coverage"], fact["special_coverage_error"]),
        _share(fact["difference_coverage"], fact["difference_coverage_error"]),
        f"{fact['false_tables']:.1%} ± {fact['false_tables_error']:.1%}" if situation.seeds > 1 else "none said",
        _share(fact["power"], fact["power_error"]),
    ]
    missed = f"FAILS: {', '.join(fact['failed'])}" if fact["failed"] else ""  # type: ignore[arg-type]
    return [str(situation.seeds), f"{situation.spread:g}", str(situation), *shown, missed]


def _share(value: object, error: object) -> str:
    return "" if math.isnan(value) else f"{value:.1%} ± {error:.1%}"  # type: ignore[arg-type]


def _matrices(pixels: NDArray[np.float64], recalls: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return (N, C, C) counts: what is not recognised is spread over the other classes."""
    hits = pixels * recalls
    spread = (pixels - hits) / (CLASSES - 1)
    counts = np.repeat(spread[:, :, None], CLASSES, axis=2)
    diagonal = np.arange(CLASSES)
    counts[:, diagonal, diagonal] = hits
    return np.rint(np.clip(counts, 0, None)).astype(np.int64)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=1000, help="synthetic worlds in each row")
    parser.add_argument("--images", type=int, default=100, help="test images in each")
    parser.add_argument("--jobs", type=int, default=None, help="processes; one for each core by default")
    parser.add_argument(
        "--prior", type=float, metavar="N", help="try another prior, of N degrees of freedom; 1e6 pools"
    )
    parser.add_argument("--seeds", type=int, action="append", help="only rows of so many seeds; may be given again")
    parser.add_argument("--facts", type=Path, help="also write the figures here, one JSON object a line")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
