"""How many training images a network needs to reach a score."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segbench.metrics.uncertainty import Interval, intervals, plain_intervals
from segbench.report.efficiency.bounds import FloatArray, first_reached, grid, reached_for_good
from segbench.report.efficiency.curves import Curve
from segbench.report.efficiency.estimates import Estimated

_ROUND = (0.01, 0.02, 0.05, 0.1, 0.2)
_MOST_SCORES = 3


@dataclass(frozen=True)
class Need:
    """The training images with which a network reaches a score.

    Attributes:
        score: The score, a fraction of 1.
        images: The first number of images at which the curve reaches it, the smallest tested one where it does so
            there already; None where it never does.
        interval: The 95 % interval: 0 where fewer images than were tested may do, infinity where even the most that
            were tested may be too few; None without test images enough.
        tested: The fewest and the most images that the network was trained on.
    """

    score: float
    images: float | None
    interval: Interval | None
    tested: tuple[int, int]

    def __str__(self) -> str:
        """Return it in words, such as ``112 (80 to 190)``, ``<=48``, ``112 (<48 to >383)`` or ``never``."""
        fewest, most = self.tested
        told = "never" if self.images is None else f"≤{fewest}" if self.images <= fewest else f"{self.images:.0f}"
        if self.interval is None:
            return told
        low, high = self.interval
        if self.images is None:
            return told if low >= most else f"never (≥{low:.0f})" if low else f"never (<{fewest} to >{most})"
        ends = f"{low:.0f}" if low else f"<{fewest}", f"{high:.0f}" if math.isfinite(high) else f">{most}"
        if self.images <= fewest:
            return told if high <= fewest else f"{told} (to {ends[1]})"
        return f"{told} ({ends[0]} to {ends[1]})"


def need(curve: Curve, score: float, means: Sequence[float], estimated: Estimated | None) -> Need:
    """Return how many images a network needs to reach a score.

    The curve goes straight from one tested number of images to the next, on the logarithm of images. It reaches the
    score where it first touches it. The lower end of the interval is where the curve's upper 95 % bound first does;
    the upper end is from where on its lower bound stays above.

    Args:
        curve: The network.
        score: The score, a fraction of 1.
        means: Its score at each number of images, the mean over seeds.
        estimated: The estimates of all networks; None without.
    """
    images = grid(curve.sizes)
    shown = np.interp(np.log(images), np.log(curve.sizes), means)
    tested = (curve.sizes[0], curve.sizes[-1])
    reached = first_reached(images, shown - score)
    if estimated is None:
        return Need(score, reached, None, tested)
    bounds = np.array(intervals(estimated.sums(estimated.weights(curve, images))))
    return Need(score, reached, _interval(images, bounds - score, tested), tested)


def need_of_other(curve: Curve, other: Curve, estimated: Estimated) -> Need:
    """Return how many images a network needs to do as well as another one does with the most of its own.

    Args:
        curve: The network.
        other: The other one.
        estimated: The estimates of all networks.
    """
    images = grid(curve.sizes)
    goal = estimated.weights(other, [other.sizes[-1]])
    weights = estimated.weights(curve, images) - goal
    differences = estimated.sums(weights)
    tested = (curve.sizes[0], curve.sizes[-1])
    found = _interval(images, np.array(plain_intervals(differences)), tested)
    score = float((goal @ estimated.estimates.means)[0])
    return Need(score, first_reached(images, differences.means), found, tested)


def round_scores(lowest: float, highest: float) -> tuple[float, ...]:
    """Return at most three round scores between two, the highest last; none where there are no round ones.

    Args:
        lowest: Just above this score is the first one possible.
        highest: The last one possible.
    """
    found: list[float] = []
    for step in _ROUND:
        first, last = math.floor(round(lowest / step, 9)) + 1, math.floor(round(highest / step, 9))
        found = [round(number * step, 2) for number in range(first, last + 1)]
        if len(found) <= _MOST_SCORES:
            break
    return tuple(found[-_MOST_SCORES:])


def _interval(images: FloatArray, bounds: FloatArray, tested: tuple[int, int]) -> Interval | None:
    """Return the interval of a need, given the (K, 2) bounds of the curve above the score."""
    if np.isnan(bounds).any():
        return None
    low, high = first_reached(images, bounds[:, 1]), reached_for_good(images, bounds[:, 0])
    lowest = tested[1] if low is None else 0.0 if low <= images[0] else low
    return Interval(lowest, math.inf if high is None else high)
