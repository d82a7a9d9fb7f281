"""Counts how often the leaderboard's 95 % intervals hold the truth, in synthetic worlds whose truth is known.

    python benchmarks/interval_coverage.py [--worlds 1000] [--images 100]

In each world, images differ in which classes they show and in how well each class is recognised, and seeds differ by a
common shift of that; the truth is the score that infinitely many images and seeds would give, worked out exactly. Two
networks are compared, so that the interval of their difference is put to the test as well. Ends with 1 if an interval
holds the truth in less than 93 % or more than 97 % of the worlds.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from segbench.cli.output import write_table
from segbench.metrics.resampling import counts_by_image, draw
from segbench.metrics.scores import ClassCounts, SummaryScores, score, summary_scores
from segbench.metrics.uncertainty import compare_all, interval

CLASSES = 6
PIXELS = 10_000
RESAMPLES = 2_000
WANTED = (0.93, 0.97)
SEED_SPREAD = 0.03
"""Standard deviation over seeds of the share of a class's pixels that is recognised."""


@dataclass(frozen=True)
class World:
    """How images and networks behave.

    Attributes:
        shares: (C,) Dirichlet weights of the classes in an image.
        recalls: (2, C) mean share of a class's pixels that each network recognises.
        seed_spread: Standard deviation of a seed's shift of it.
    """

    shares: NDArray[np.float64]
    recalls: NDArray[np.float64]
    seed_spread: float

    def observe(self, images: int, seeds: int, rng: np.random.Generator) -> list[list[NDArray[np.int64]]]:
        """Return by network and seed the (N, C, C) matrices; all of them of the same images."""
        pixels = PIXELS * rng.dirichlet(self.shares, size=images)
        difficulty = rng.normal(0, 0.08, size=(images, CLASSES))  # an image is hard for every network
        found = []
        for recalls in self.recalls:
            shifts = self.seed_spread * rng.normal(size=seeds)
            own = rng.normal(0, 0.05, size=(seeds, images, CLASSES))
            found.append(
                [
                    _matrices(pixels, recalls + shift + difficulty + noise)
                    for shift, noise in zip(shifts, own, strict=True)
                ]
            )
        return found

    def truth(self, network: int) -> SummaryScores:
        """Return the scores of infinitely many images, averaged over infinitely many seeds."""
        quantiles = stats.norm.ppf((np.arange(400) + 0.5) / 400)[:, None]
        recalls = self.recalls[network] + self.seed_spread * quantiles
        labelled = np.broadcast_to(self.shares / self.shares.sum(), recalls.shape)
        missed = labelled * (1 - recalls)
        predicted = labelled * recalls + (missed.sum(axis=1, keepdims=True) - missed) / (CLASSES - 1)
        scores = summary_scores(ClassCounts(labelled * recalls, labelled, predicted))
        return SummaryScores(*(values.mean() for values in scores))


def main() -> int:
    arguments = _arguments()
    print(f"{arguments.worlds} worlds of {arguments.images} images, {CLASSES} classes, {RESAMPLES} resamples in each")
    rows, good = [], True
    for seeds in (1, 3, 5):
        held = np.mean([_holds(world, arguments.images, seeds) for world in range(arguments.worlds)], axis=0)
        good &= bool(((held >= WANTED[0]) & (held <= WANTED[1])).all())
        error = math.sqrt(0.95 * 0.05 / arguments.worlds)
        rows.append([str(seeds), *(f"{share:.1%}" for share in held), f"± {error:.1%}"])
    titles = ["seeds", *(name.replace("_", " ") for name in SummaryScores._fields), "difference of mIoU", "error"]
    write_table(titles, rows, right=titles[1:])
    print(f"wanted: between {WANTED[0]:.0%} and {WANTED[1]:.0%}")
    return 0 if good else 1


def _holds(number: int, images: int, seeds: int) -> list[bool]:
    """Tell for every score of one world, and for the difference of mean IoU, whether the interval holds the truth."""
    rng = np.random.default_rng([number, seeds])
    world = World(
        shares=rng.uniform(0.3, 2.0, CLASSES),
        recalls=rng.uniform(0.5, 0.85, (2, CLASSES)),
        seed_spread=SEED_SPREAD if seeds > 1 else 0.0,
    )
    networks = world.observe(images, seeds, rng)
    drawn = draw(
        [[counts_by_image(one) for one in matrices] for matrices in networks], resamples=RESAMPLES, seed=number
    )
    truths = [world.truth(network) for network in (0, 1)]
    found = []
    for name, draws in drawn.items():
        low, high = interval(draws[0].values)
        found.append(low <= getattr(truths[0], name) <= high)
    estimates = [float(np.mean([score(one.sum(axis=0)).mean_iou for one in seeds])) for seeds in networks]
    low, high = compare_all(estimates, drawn["mean_iou"])[0].interval
    return [*found, low <= truths[0].mean_iou - truths[1].mean_iou <= high]


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
    parser.add_argument("--worlds", type=int, default=1000, help="synthetic worlds for each number of seeds")
    parser.add_argument("--images", type=int, default=100, help="test images in each")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
