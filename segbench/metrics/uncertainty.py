"""How sure a ranking is: intervals, paired differences, rank intervals, and which networks cannot be told apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from segbench.metrics.resampling import Draws

CONFIDENCE = 0.95


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
        better: Probability that the first is better; ties count half.
        p_value: Two-sided, of "no difference", Holm-adjusted over all pairs.
    """

    first: int
    second: int
    difference: float
    interval: Interval
    better: float
    p_value: float

    @property
    def separable(self) -> bool:
        """Whether the two can be told apart."""
        return self.p_value < 1 - CONFIDENCE


def interval(draws: NDArray[np.float64]) -> Interval:
    """Return the central interval of (B,) draws; those that are NaN (no labelled pixel drawn) are left out."""
    defined = draws[~np.isnan(draws)]
    if not defined.size:
        return Interval(math.nan, math.nan)
    low, high = np.quantile(defined, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(float(low), float(high))


def compare_all(estimates: Sequence[float], draws: Sequence[Draws]) -> list[Comparison]:
    """Compare every pair of networks, on the same images draw by draw.

    The spread of a difference is that of its draws over images and, apart from it, of either network over its seeds.
    Intervals and p values are those of Welch's t, with the degrees of freedom of F. E. Satterthwaite, "An approximate
    distribution of estimates of variance components", Biometrics 2 (1946).

    Args:
        estimates: (M,) the score of each network.
        draws: (M,) its draws.

    Returns:
        One comparison a pair, in the order of the networks.
    """
    raw = [_compared(pair, estimates, draws) for pair in combinations(range(len(estimates)), 2)]
    adjusted = holm([one.p_value for one in raw])
    return [replace(one, p_value=p_value) for one, p_value in zip(raw, adjusted, strict=True)]


def rank_intervals(draws: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Return the interval of each network's rank from (M, B) draws; 1 is the best, and ties share the better rank."""
    better = draws[None, :, :] > draws[:, None, :]
    ranks = 1 + better.sum(axis=1)
    low, high = np.quantile(ranks, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=1, method="inverted_cdf")
    return [(int(best), int(worst)) for best, worst in zip(low, high, strict=True)]


def groups(order: Sequence[int], comparisons: Sequence[Comparison]) -> list[tuple[int, ...]]:
    """Return the groups of neighbours in a ranking that cannot be told apart, best first; a network may be in several.

    Args:
        order: The networks from best to worst.
        comparisons: Of every pair of them.

    Returns:
        Each group as the networks in it; a network that can be told from all others is a group of its own.
    """
    apart = {frozenset((one.first, one.second)) for one in comparisons if one.separable}
    found: list[tuple[int, ...]] = []
    reach = 0
    for start in range(len(order)):
        end = start + 1
        while end < len(order) and not any(frozenset((order[end], other)) in apart for other in order[start:end]):
            end += 1
        if end > reach:  # a group that lies within the one before tells nothing new
            found.append(tuple(order[start:end]))
            reach = end
    return found


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values adjusted by Holm's step-down method (S. Holm, Scand. J. Statist. 6, 1979); NaN stays NaN."""
    known = sorted((index for index, value in enumerate(p_values) if not math.isnan(value)), key=p_values.__getitem__)
    adjusted, highest = [math.nan] * len(p_values), 0.0
    for rank, index in enumerate(known):
        highest = max(highest, min(1.0, (len(known) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def _compared(pair: tuple[int, int], estimates: Sequence[float], draws: Sequence[Draws]) -> Comparison:
    """Compare two networks; the p value is not adjusted yet."""
    first, second = pair
    one, other = draws[first], draws[second]
    values = one.values - other.values
    values = values[~np.isnan(values)]
    if values.size < 2:
        return Comparison(first, second, math.nan, Interval(math.nan, math.nan), math.nan, math.nan)
    difference = float(estimates[first] - estimates[second])
    better = float(np.mean(values > 0) + np.mean(values == 0) / 2)
    error, freedom = _error(one, other)
    if error == 0:  # equal predictions, or one image
        return Comparison(first, second, difference, Interval(difference, difference), better, float(difference == 0))
    half = error * float(special.stdtrit(freedom, (1 + CONFIDENCE) / 2))
    p_value = float(2 * special.stdtr(freedom, -abs(difference) / error))
    return Comparison(first, second, difference, Interval(difference - half, difference + half), better, p_value)


def _error(one: Draws, other: Draws) -> tuple[float, float]:
    """Return the standard error of a difference and its degrees of freedom."""
    images = float(np.nanvar(one.images - other.images))
    seeds = [(draws.seed_error**2, draws.seeds - 1) for draws in (one, other) if draws.seed_error > 0]
    variance = images + sum(part for part, _ in seeds)
    uncertain = sum(part**2 / freedom for part, freedom in seeds)
    return math.sqrt(variance), variance**2 / uncertain if uncertain else _MANY


_MANY = 1e9
"""Degrees of freedom of a variance that counts as known: that over thousands of resamples."""
