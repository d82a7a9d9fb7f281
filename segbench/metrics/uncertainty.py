"""How sure a ranking is: intervals, paired differences, ranks, and which networks cannot be told apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy import special

from segbench.metrics.trainings import Estimates

CONFIDENCE = 0.95
SIGNIFICANT = 1 - CONFIDENCE
"""Holm-adjusted p values below this tell two networks apart."""


class Interval(NamedTuple):
    """The bounds of an interval of ``CONFIDENCE``; both NaN where the score is not defined."""

    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """Two networks on the same images.

    Attributes:
        first: Index of the one network.
        second: Index of the other.
        difference: First minus second.
        interval: Of the difference.
        p_value: Two-sided, of "no difference", Holm-adjusted over all pairs.
    """

    first: int
    second: int
    difference: float
    interval: Interval
    p_value: float

    @property
    def separable(self) -> bool:
        """Whether the two can be told apart."""
        return self.p_value < SIGNIFICANT


def intervals(estimates: Estimates) -> list[Interval]:
    """Return the interval of each network's score, a fraction of 1.

    Student's t on the logit scale, where no bound leaves [0, 1], with the standard error carried over by the
    derivative. The degrees of freedom are those of F. E. Satterthwaite, "An approximate distribution of estimates of
    variance components", Biometrics 2 (1946).
    """
    images = np.maximum(np.diagonal(estimates.images), 0.0)  # NaN stays
    trainings = zip(images.tolist(), estimates.trainings.tolist(), estimates.freedom.tolist(), strict=True)
    errors = [_error((shared, estimates.image_freedom), (own, freedom)) for shared, own, freedom in trainings]
    return [_on_logit_scale(float(mean), error) for mean, error in zip(estimates.means, errors, strict=True)]


def plain_intervals(estimates: Estimates) -> list[Interval]:
    """Return the interval of each network's score, of any range: Student's t around the mean; see ``intervals``."""
    found = []
    for index, mean in enumerate(estimates.means.tolist()):
        images = (float(np.maximum(estimates.images[index, index], 0.0)), estimates.image_freedom)
        error = _error(images, (float(estimates.trainings[index]), float(estimates.freedom[index])))
        half = error.half_width if not math.isnan(error.size) else math.nan
        found.append(Interval(mean - half, mean + half))
    return found


def compare_all(estimates: Estimates) -> list[Comparison]:
    """Compare every pair of networks on the same images.

    The variance of a difference is that which the images give it and, apart from it, that of either network over its
    trainings. Intervals, which stay within -1 and 1, and p values are those of Student's t with Satterthwaite's degrees
    of freedom. For p values, the trainings of both networks together count for no more than the fewer of the two (P. L.
    Hsu, Statistical Research Memoirs 2, 1938): far out, where p values of many pairs are decided, Satterthwaite's sum
    promises too much of two or three seeds.

    Returns:
        One comparison a pair, in the order of the networks.
    """
    raw = [_compared(pair, estimates) for pair in combinations(range(len(estimates.means)), 2)]
    adjusted = holm([one.p_value for one in raw])
    return [replace(one, p_value=p_value) for one, p_value in zip(raw, adjusted, strict=True)]


def rank_sets(networks: int, comparisons: Sequence[Comparison]) -> list[tuple[int, int]]:
    """Return the best and the worst rank of each network that its comparisons leave open; 1 is the best.

    A network ranks below those that are told to be better, and above those that are told to be worse. With adjusted p
    values, all these ranks together are right as often as the confidence says: M. Mogstad, J. Romano, A. Shaikh and D.
    Wilhelm, "Inference for ranks", Review of Economic Studies 91 (2024).
    """
    better, worse = [0] * networks, [0] * networks
    for one in comparisons:
        if one.separable:
            winner, loser = (one.first, one.second) if one.difference > 0 else (one.second, one.first)
            better[loser] += 1
            worse[winner] += 1
    return [(1 + above, networks - below) for above, below in zip(better, worse, strict=True)]


def groups(order: Sequence[int], comparisons: Sequence[Comparison]) -> list[tuple[int, ...]]:
    """Return the largest groups of networks that cannot be told apart; two share one exactly if that is true of them.

    Each pair that can be told apart splits the groups that hold both, and what lies within another group is left out:
    H.-P. Piepho, "An algorithm for a letter-based representation of all-pairwise comparisons", J. Comput. Graph. Stat.
    13 (2004).

    Args:
        order: The networks from best to worst.
        comparisons: Of every pair of them.

    Returns:
        Each group as the networks in it, from best to worst, the group of the best first.
    """
    found = [frozenset(order)] if order else []
    for one in comparisons:
        pair = {one.first, one.second}
        if one.separable:
            whole = [group for group in found if not pair <= group]
            split = dict.fromkeys(group - {member} for group in found if pair <= group for member in pair)
            found = whole + [group for group in split if not any(group < other for other in (*whole, *split))]
    place = {network: index for index, network in enumerate(order)}
    return sorted(
        (tuple(sorted(group, key=place.__getitem__)) for group in found),
        key=lambda group: [place[one] for one in group],
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values adjusted by Holm's step-down method (S. Holm, Scand. J. Statist. 6, 1979); NaN stays NaN."""
    known = sorted((index for index, value in enumerate(p_values) if not math.isnan(value)), key=p_values.__getitem__)
    adjusted, highest = [math.nan] * len(p_values), 0.0
    for rank, index in enumerate(known):
        highest = max(highest, min(1.0, (len(known) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


class _Error(NamedTuple):
    """A standard error and its degrees of freedom."""

    size: float
    freedom: float

    @property
    def half_width(self) -> float:
        """Half the width of an interval of ``CONFIDENCE``."""
        return self.size * float(special.stdtrit(self.freedom, (1 + CONFIDENCE) / 2)) if self.size else 0.0


def _compared(pair: tuple[int, int], estimates: Estimates) -> Comparison:
    """Compare two networks; the p value is not adjusted yet."""
    one, other = pair
    between = estimates.images
    images = float(np.maximum(0.0, between[one, one] + between[other, other] - 2 * between[one, other]))
    trainings = [(float(estimates.trainings[part]), float(estimates.freedom[part])) for part in pair]
    together = (sum(variance for variance, _ in trainings), min(freedom for _, freedom in trainings))
    error, strict = (_error((images, estimates.image_freedom), *parts) for parts in (trainings, [together]))
    difference = float(estimates.means[one] - estimates.means[other])
    if math.isnan(error.size + difference):
        return Comparison(one, other, difference, Interval(math.nan, math.nan), math.nan)
    bounds = Interval(max(-1.0, difference - error.half_width), min(1.0, difference + error.half_width))
    if not error.size:  # equal predictions
        return Comparison(one, other, difference, bounds, float(difference == 0))
    p_value = float(2 * special.stdtr(strict.freedom, -abs(difference) / error.size))
    return Comparison(one, other, difference, bounds, p_value)


def _error(*parts: tuple[float, float]) -> _Error:
    """Return the standard error of variances together, each with its degrees of freedom, and those that it has."""
    total = sum(variance for variance, _ in parts)
    uncertain = sum(variance**2 / max(1, freedom) for variance, freedom in parts)
    return _Error(math.sqrt(total), total**2 / uncertain if uncertain else math.inf)


def _on_logit_scale(mean: float, error: _Error) -> Interval:
    if math.isnan(mean) or math.isnan(error.size):
        return Interval(math.nan, math.nan)
    if not 0 < mean < 1:
        return Interval(max(0.0, mean - error.half_width), min(1.0, mean + error.half_width))
    half = error.half_width / (mean * (1 - mean))
    middle = special.logit(mean)
    low, high = special.expit([middle - half, middle + half])
    return Interval(float(low), float(high))
