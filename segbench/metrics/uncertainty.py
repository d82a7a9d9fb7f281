"""Uncertainty of a ranking: confidence intervals, paired differences, ranks, and groups of inseparable networks."""

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
"""Two networks are separable if their Holm-adjusted p value is below this."""


class Interval(NamedTuple):
    """Bounds of a confidence interval at level ``CONFIDENCE``; both NaN if the score is undefined."""

    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """Comparison of two networks on the same images.

    Attributes:
        first: Index of the first network.
        second: Index of the second network.
        difference: Score of the first minus score of the second.
        interval: Confidence interval of the difference.
        p_value: Two-sided p value of "no difference", Holm-adjusted over all pairs.
    """

    first: int
    second: int
    difference: float
    interval: Interval
    p_value: float

    @property
    def separable(self) -> bool:
        """Whether the difference is significant."""
        return self.p_value < SIGNIFICANT


def intervals(estimates: Estimates) -> list[Interval]:
    """Return the confidence interval of each network's score, a fraction of 1.

    Uses Student's t on the logit scale, which keeps the bounds within [0, 1]; the standard error is transformed by the
    delta method. The degrees of freedom are those of F. E. Satterthwaite, "An approximate distribution of estimates of
    variance components", Biometrics 2 (1946).
    """
    images = np.maximum(np.diagonal(estimates.images), 0.0)  # NaN stays
    trainings = zip(images.tolist(), estimates.trainings.tolist(), estimates.freedom.tolist(), strict=True)
    errors = [_error((shared, estimates.image_freedom), (own, freedom)) for shared, own, freedom in trainings]
    return [_on_logit_scale(float(mean), error) for mean, error in zip(estimates.means, errors, strict=True)]


def plain_intervals(estimates: Estimates) -> list[Interval]:
    """Return the confidence interval of scores of any range, by Student's t around the mean; see ``intervals``."""
    found = []
    for index, mean in enumerate(estimates.means.tolist()):
        images = (float(np.maximum(estimates.images[index, index], 0.0)), estimates.image_freedom)
        error = _error(images, (float(estimates.trainings[index]), float(estimates.freedom[index])))
        half = error.half_width if not math.isnan(error.size) else math.nan
        found.append(Interval(mean - half, mean + half))
    return found


def plain_p_values(estimates: Estimates) -> list[float]:
    """Return the two-sided p value of "the score is 0" for scores of any range, not adjusted; see ``plain_intervals``.

    NaN if the score is undefined.
    """
    found = []
    for index, mean in enumerate(estimates.means.tolist()):
        images = (float(np.maximum(estimates.images[index, index], 0.0)), estimates.image_freedom)
        error = _error(images, (float(estimates.trainings[index]), float(estimates.freedom[index])))
        found.append(_p_value(mean, error))
    return found


def compare_all(estimates: Estimates) -> list[Comparison]:
    """Compare every pair of networks on the same images.

    The variance of a difference is the sum of the variance due to the images and the variances of both networks over
    their trainings. Intervals (clipped to [-1, 1]) and p values use Student's t with Satterthwaite's degrees of
    freedom.

    For p values, the trainings of both networks together get no more degrees of freedom than the network with fewer
    seeds (P. L. Hsu, Statistical Research Memoirs 2, 1938). In the far tails, where many pairs are decided,
    Satterthwaite's sum is too optimistic for two or three seeds.

    Returns:
        One comparison for each pair, in the order of the networks.
    """
    return compare_families([estimates])[0]


def compare_families(families: Sequence[Estimates]) -> list[list[Comparison]]:
    """Compare every pair of networks within each family; p values are Holm-adjusted over the pairs of all families.

    Returns:
        By family what ``compare_all`` returns.
    """
    raw = [[_compared(pair, one) for pair in combinations(range(len(one.means)), 2)] for one in families]
    adjusted = iter(holm([one.p_value for family in raw for one in family]))
    return [[replace(one, p_value=next(adjusted)) for one in family] for family in raw]


def rank_sets(networks: int, comparisons: Sequence[Comparison]) -> list[tuple[int, int]]:
    """Return the best and the worst possible rank of each network, given the comparisons; 1 is the best.

    A network ranks below those that are significantly better, and above those that are significantly worse. With
    adjusted p values, all these ranks hold simultaneously at the confidence level: M. Mogstad, J. Romano, A. Shaikh and
    D. Wilhelm, "Inference for ranks", Review of Economic Studies 91 (2024).
    """
    better, worse = [0] * networks, [0] * networks
    for one in comparisons:
        if one.separable:
            winner, loser = (one.first, one.second) if one.difference > 0 else (one.second, one.first)
            better[loser] += 1
            worse[winner] += 1
    return [(1 + above, networks - below) for above, below in zip(better, worse, strict=True)]


def groups(order: Sequence[int], comparisons: Sequence[Comparison]) -> list[tuple[int, ...]]:
    """Return the largest groups of inseparable networks; two networks share a group exactly if they are inseparable.

    Each separable pair splits the groups that contain both networks, and groups within other groups are dropped: H.-P.
    Piepho, "An algorithm for a letter-based representation of all-pairwise comparisons", J. Comput. Graph. Stat. 13
    (2004).

    Args:
        order: The networks from best to worst.
        comparisons: Comparisons of all pairs.

    Returns:
        The networks of each group, from best to worst; the group of the best network comes first.
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
        """Return half the width of a confidence interval at level ``CONFIDENCE``."""
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
    return Comparison(one, other, difference, bounds, _p_value(difference, _Error(error.size, strict.freedom)))


def _p_value(difference: float, error: _Error) -> float:
    """Return the two-sided p value of "no difference", by Student's t; NaN if the difference is undefined."""
    if math.isnan(error.size + difference):
        return math.nan
    if not error.size:  # the predictions are equal
        return float(difference == 0)
    return float(2 * special.stdtr(error.freedom, -abs(difference) / error.size))


def _error(*parts: tuple[float, float]) -> _Error:
    """Return the standard error of a sum of variances, with Satterthwaite's degrees of freedom."""
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
