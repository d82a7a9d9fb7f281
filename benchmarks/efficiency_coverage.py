"""Counts how often what a data-efficiency table claims is true, in synthetic worlds whose truth is known.

    python benchmarks/efficiency_coverage.py [--worlds 400] [--images 100] [--facts FILE]

Each world is a table of networks that are trained on 48, 96, 192 and 384 images, several times each, and tested on the
same images. Images differ as in ``interval_coverage``: one is hard for every network, whatever it was trained on. Each
training of a network on a number of images shifts its mean IoU by an amount of its own. The product's own code makes
the table, and the truth is the mean over infinitely many trainings and images at each number of images, straight on
the logarithm of images between them, as the table has it. There are five kinds of worlds:

* equal: six networks with one curve. Every crossing that is told is false.
* parallel: six networks whose curves are 0.015 apart everywhere. Every crossing that is told is false.
* merging: three networks lead by 0.15 with the fewest images, and are equal to the other three with all others, where
  a wrong order that is told makes a false crossing: the hardest case.
* shared: as equal, but half of the variance of a training comes from its seed, the same for all numbers of images.
* crossing: two networks of six, one steep and one flat, cross once, half way between 96 and 192 images. Counted are
  how often that is told (power), and how often its interval holds the truth.

In all of them, the images that networks need are asked for three scores: one within what is tested, one that most
curves reach with fewer images than were tested, and one that most never reach. Counted are how often the intervals hold
the truth: where fewer images than tested do, an interval has to be open below, where the most do not, above. There is
then but one way to be wrong, and 97.5 % are right of 95 % intervals; networks that reach the score within with the
fewest images are not counted there.

Ends with 1 if coverage is below 93 %, or above 97 % where both ends can miss, or more tables than 5 % tell a false
crossing, by more than two standard errors each.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from functools import partial
from itertools import product
from typing import NamedTuple

import numpy as np
from claims import Fact, are_too_many, is_outside, judge, parser_of, with_error
from interval_coverage import CLASSES, World
from numpy.typing import NDArray

from segbench.metrics.scores import ClassCounts
from segbench.report.efficiency.crossings import Crossing, pairs_of
from segbench.report.efficiency.curves import Cell, Curve, CurveSet
from segbench.report.efficiency.estimates import estimate_curves, mean_iou, score_of
from segbench.report.efficiency.needs import Need, need

NETWORKS = 6
SIZES = (48, 96, 192, 384)
GAINS = np.array([-0.18, -0.10, -0.04, 0.0])
"""The curve of a network: mean IoU below that with all images."""
RESAMPLES = 500
KINDS = ("equal", "parallel", "merging", "crossing", "shared")
SITUATIONS = tuple(product(KINDS, (2, 3, 5), (0.0, 0.01, 0.03)))
"""Kind of world, seeds, and spread of trainings."""
CROSSES_AT = math.sqrt(96 * 192)
STEEP, FLAT = np.array([-0.24, -0.12, 0.0, 0.06]), np.array([-0.12, -0.08, -0.04, 0.0])
WANTED = {"within": -0.07, "below": -0.19, "beyond": 0.01}
"""Scores to reach, less that of ``GAINS`` with all images: between two tested numbers of images, a little below what
the fewest reach, and a little above what all of them do."""


class Seen(NamedTuple):
    """What one world showed.

    Attributes:
        false: Whether a crossing is told that is not there.
        told: Whether the crossing that is there is told; None without one.
        held: Whether its interval holds the truth; None where it is not told.
        needs: By kind of score, the share of networks whose interval of needed images holds the truth.
    """

    false: bool
    told: bool | None
    held: bool | None
    needs: dict[str, float]


def main() -> int:
    parser = parser_of(__doc__, worlds=400)
    parser.add_argument("--kind", choices=KINDS, action="append", help="only these worlds; may be given again")
    given = parser.parse_args()
    print(f"{given.worlds} worlds a row, {given.images} test images, {NETWORKS} networks\n")
    columns = {
        "world": lambda fact: str(fact["world"]),
        "seeds": lambda fact: str(fact["seeds"]),
        "spread": lambda fact: f"{fact['spread']:g}",
        "false crossings": lambda fact: f"{fact['false_crossings']:.1%}",
        "power": lambda fact: "" if fact["power"] is None else f"{fact['power']:.0%}",
        "crossing held": lambda fact: with_error(fact, "crossing_held"),
        **{f"need {kind}": partial(with_error, name=f"need_{kind}") for kind in WANTED},
    }
    wanted = [situation for situation in SITUATIONS if not given.kind or situation[0] in given.kind]
    return judge(wanted, _look, _summed, columns, given, words=["world"])


def gains_of(kind: str) -> NDArray[np.float64]:
    """Return the (M, K) true curves of a kind of world."""
    curves = np.tile(GAINS, (NETWORKS, 1))
    if kind == "parallel":
        curves += 0.015 * np.arange(NETWORKS)[::-1, None]
    if kind == "merging":
        curves[: NETWORKS // 2, 0] += 0.15
    if kind == "crossing":
        curves[0], curves[1] = STEEP, FLAT
    return curves


def _look(situation: tuple[str, int, float], images: int, number: int) -> Seen:
    """Make one world, have the product's code judge it, and compare with the truth."""
    kind, seeds, spread = situation
    rng = np.random.default_rng([number, KINDS.index(kind), seeds, round(1e4 * spread)])
    world = World(rng.uniform(0.3, 2.0, CLASSES), rng.uniform(0.65, 0.8, CLASSES))
    gains = gains_of(kind)
    drawn = gains[:, :, None] + spread * _trainings(kind, seeds, rng)
    shifts = [world.shift(drawn[network, size]) for network in range(NETWORKS) for size in range(len(SIZES))]
    curves = _curves(world.observe(shifts, images, rng), images)
    estimated = estimate_curves(curves, mean_iou, resamples=RESAMPLES)
    assert estimated is not None
    told = [crossing for pair in pairs_of(curves, estimated) for crossing in pair.crossings if crossing.told]
    true = [crossing for crossing in told if _is_true(crossing, gains)]
    whole = float(world.mean_iou(np.zeros(1))[0])
    held = {name: [] for name in WANTED}  # type: dict[str, list[bool]]
    for index, curve in enumerate(curves.curves):
        means = [float(np.mean([score_of(run, mean_iou) for run in cell.runs])) for cell in curve.cells]
        for name, score in WANTED.items():
            above = gains[index] - score
            if name != "within" or above[0] < 0:  # three networks of "merging" lead with the fewest images already
                held[name].append(_holds(need(curve, whole + score, means, estimated), above))
    return Seen(
        len(true) < len(told),
        bool(true) if kind == "crossing" else None,
        _held(true[0]) if true else None,
        {name: float(np.mean(found)) for name, found in held.items()},
    )


def _trainings(kind: str, seeds: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return (M, K, S) shifts of trainings, of variance 1."""
    own = rng.normal(size=(NETWORKS, len(SIZES), seeds))
    of_seed = rng.normal(size=(NETWORKS, 1, seeds))
    return (own + of_seed) / math.sqrt(2) if kind == "shared" else own


def _curves(observed: Sequence[Sequence[ClassCounts]], images: int) -> CurveSet:
    """Return the curves of networks whose runs come network by network, and in these size by size."""
    curves = []
    for network in range(NETWORKS):
        cells = observed[network * len(SIZES) : (network + 1) * len(SIZES)]
        parts = tuple(Cell(size, tuple(range(len(runs))), tuple(runs)) for size, runs in zip(SIZES, cells, strict=True))
        curves.append(Curve(f"network{network}", "", pretrained=False, cells=parts))
    return CurveSet("world", "p", tuple(curves), tuple(map(str, range(CLASSES))), images, None)


def _is_true(crossing: Crossing, gains: NDArray[np.float64]) -> bool:
    """Return whether the order turns round in truth between both sides, as it is told."""
    fewer, more = (int(label.removeprefix("network")) for label in (crossing.fewer, crossing.more))
    assert crossing.sides is not None
    before, after = (SIZES.index(size) for size in crossing.sides)
    return bool(gains[fewer, before] > gains[more, before] and gains[fewer, after] < gains[more, after])


def _held(crossing: Crossing) -> bool:
    """Return whether the interval of a true crossing holds the only one that there is between its networks."""
    if {crossing.fewer, crossing.more} != {"network0", "network1"}:
        return True
    assert crossing.interval is not None
    return crossing.interval.low <= CROSSES_AT <= crossing.interval.high


def _holds(found: Need, above: NDArray[np.float64]) -> bool:
    """Return whether the interval of needed images holds the truth, given by how much a true curve is above."""
    assert found.interval is not None
    low, high = found.interval
    if above[0] >= 0:
        return low == 0
    if above.max() < 0:
        return math.isinf(high)
    place = int(np.argmax(above >= 0))
    share = -above[place - 1] / (above[place] - above[place - 1])
    truth = SIZES[place - 1] * (SIZES[place] / SIZES[place - 1]) ** share
    return bool(low <= truth <= high)


def _summed(situation: tuple[str, int, float], worlds: Sequence[Seen]) -> Fact:
    """Return shares over worlds with their standard errors."""
    false = float(np.mean([one.false for one in worlds]))
    failed = ["false crossings"] if are_too_many(false, len(worlds)) else []
    told = [one.told for one in worlds if one.told is not None]
    held = [float(one.held) for one in worlds if one.held is not None]
    shares = {f"need_{name}": [one.needs[name] for one in worlds] for name in WANTED}
    shares |= {"crossing_held": held} if len(held) > 1 else {}
    coverage = {name: (float(np.mean(found)), _error(found)) for name, found in shares.items()}
    for name, (share, error) in coverage.items():
        if is_outside(share, error, above=name in ("need_within", "crossing_held")):
            failed.append(name)
    return {
        "world": situation[0],
        "seeds": situation[1],
        "spread": situation[2],
        "worlds": len(worlds),
        "false_crossings": false,
        "power": float(np.mean(told)) if told else None,
        **{name: share for name, (share, _) in coverage.items()},
        **{f"{name}_error": error for name, (_, error) in coverage.items()},
        "failed": failed,
    }


def _error(shares: Sequence[float]) -> float:
    """Return the standard error of a mean over worlds; where all are alike, that of a coverage of 95 %."""
    spread = float(np.std(shares, ddof=1)) or math.sqrt(0.95 * 0.05)
    return spread / math.sqrt(len(shares))


if __name__ == "__main__":
    sys.exit(main())
