"""Estimates the scores of networks, and their variances, by a crossed model of seeds and test images.

The score of a run (network m, seed s) is modelled as

    score(m, s) = mean(m) + images(m) + training(m, s)

``images(m)`` is the effect of the sampled test images. All trainings of a network share it, and it is correlated
between networks because they are tested on the same images. ``training(m, s)`` is the effect of one training, including
its interaction with the test images. A network's estimate is its mean over seeds.

* The variance of ``images`` is the covariance between *different* runs over resampled images.
* The variance of ``training`` is that of the scores over seeds. Two or three seeds estimate it badly, so it is shrunk
  towards the typical variance of the table's networks (G. K. Smyth, "Linear models and empirical Bayes methods for
  assessing differential expression", Stat. Appl. Genet. Mol. Biol. 3, 2004). It is never shrunk below the network's own
  variance, because some networks vary several times as much as others.
* A network with one seed gets the largest of these variances, so fewer seeds never give a narrower interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy import special

from segbench.metrics.resampling import ImageSpread

FloatArray = NDArray[np.float64]

PRIOR_FREEDOM = 4.0
"""Most degrees of freedom that the typical variance gets. Smyth estimates them from the table, but two or three seeds
are too few for that. ``benchmarks/interval_coverage.py --prior`` tries other values."""
PRIOR_SHARE = 2.0
"""The typical variance gets this multiple of the network's own degrees of freedom, up to the limit above."""
_MOST_OF_THE_MEDIAN = 2.0
"""The typical variance is the mean over networks, capped at this multiple of their median, so that one network with a
very large variance does not dominate it."""
FEWEST_SHRUNK = 3
"""Number of networks with several seeds from which on their variances are shrunk; two say nothing of each other."""
_NETWORKS_FOR_THE_PRIOR = 5
"""Number of networks with several seeds from which on the typical variance gets its full weight."""


class Scope(StrEnum):
    """What an interval holds for."""

    WEIGHTS = "weights"
    """These weights: how they would score on other test images."""
    NETWORKS = "networks"
    """The networks: how other trainings of them would score on other test images."""


@dataclass(frozen=True, eq=False)
class Estimates:
    """Estimates of one score of several networks, with their variances.

    Attributes:
        scope: Whether the estimates hold for the networks or for these weights only.
        means: (M,) the mean over seeds.
        images: (M, M) covariance of the means due to the test images, without ``trainings``.
        trainings: (M,) variance of the means due to the trainings; 0 if the scope is these weights.
        freedom: (M,) degrees of freedom of ``trainings``.
        image_freedom: Degrees of freedom of ``images``.
    """

    scope: Scope
    means: FloatArray
    images: FloatArray
    trainings: FloatArray
    freedom: FloatArray
    image_freedom: int


def estimate(spread: ImageSpread, seeds: Sequence[int]) -> Estimates:
    """Estimate the scores of networks from their runs.

    Args:
        spread: Spread of one score; the runs are ordered by network.
        seeds: Number of runs of each network; if all have one, the scope is these weights.
    """
    if max(seeds) == 1:
        return estimate_weights(spread, seeds)
    networks = _networks(seeds)
    images, own = _split(spread.covariance, networks)
    scatter = np.array([spread.scores[runs].var(ddof=1) if runs.stop - runs.start > 1 else np.nan for runs in networks])
    variances, freedom = _shrunk(scatter, own, np.array(seeds) - 1)
    means = _means(spread.scores, networks)
    return Estimates(Scope.NETWORKS, means, images, variances / np.array(seeds), freedom, spread.images - 1)


def estimate_weights(spread: ImageSpread, seeds: Sequence[int]) -> Estimates:
    """Estimate how these weights (or the mean over several) score on other images; see ``estimate``."""
    networks, none = _networks(seeds), np.zeros(len(seeds))
    means, images = _means(spread.scores, networks), _between(spread.covariance, networks)
    return Estimates(Scope.WEIGHTS, means, images, none, none, spread.images - 1)


def weighted_sums(
    estimates: Estimates, weights: FloatArray, *, families: Sequence[int] | None = None, correlation: float = 0.0
) -> Estimates:
    """Return the estimates of weighted sums of networks' scores, such as differences, or points between two scores.

    Trainings of different families are independent. The degrees of freedom of their weighted variances are
    Satterthwaite's.

    Args:
        estimates: Those of M networks.
        weights: (K, M) the weights of each sum.
        families: (M,) numbers of families: networks of one are trained with the same seeds, such as one architecture on
            different data. By default every network is a family.
        correlation: That of two trainings of one family and seed, 0 to 1.
    """
    parts = weights**2 * estimates.trainings
    trainings, uncertain = parts.sum(axis=1), (parts**2 / np.maximum(1, estimates.freedom)).sum(axis=1)
    freedom = np.divide(trainings**2, uncertain, out=np.full(len(weights), np.inf), where=uncertain > 0)
    if families is not None:
        member = np.asarray(families)[:, None] == np.unique(families)
        together = (((weights * np.sqrt(estimates.trainings)) @ member) ** 2).sum(axis=1)
        trainings = (1 - correlation) * trainings + correlation * together
    images = weights @ estimates.images @ weights.T
    return replace(estimates, means=weights @ estimates.means, images=images, trainings=trainings, freedom=freedom)


def _networks(seeds: Sequence[int]) -> list[slice]:
    """Return the indices of each network's runs."""
    return [slice(int(end) - size, int(end)) for end, size in zip(np.cumsum(seeds), seeds, strict=True)]


def _means(scores: FloatArray, networks: Sequence[slice]) -> FloatArray:
    return np.array([scores[runs].mean() for runs in networks])


def _between(covariance: FloatArray, networks: Sequence[slice]) -> FloatArray:
    """Return the (M, M) covariance of the means over seeds."""
    return np.array([[covariance[one, other].mean() for other in networks] for one in networks])


def _split(covariance: FloatArray, networks: Sequence[slice]) -> tuple[FloatArray, FloatArray]:
    """Split the covariance over images into a part shared by trainings and a part of each training alone.

    Returns:
        The (M, M) mean covariance of different runs, with that of runs of the same network on the diagonal; and the
        (M,) excess of a run's own variance over it. For a network with one run, all of it counts as shared.
    """
    shared = _between(covariance, networks)
    own = np.zeros(len(networks))
    for place, runs in enumerate(networks):
        size = runs.stop - runs.start
        if size > 1:
            trace = float(np.trace(covariance[runs, runs]))
            between = (float(covariance[runs, runs].sum()) - trace) / (size * (size - 1))
            shared[place, place], own[place] = between, trace / size - between
    return shared, own


def _shrunk(scatter: FloatArray, own: FloatArray, freedom: NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
    """Return the variance of one training of each network, and its degrees of freedom.

    Args:
        scatter: (M,) variance of the scores over seeds; NaN with one seed.
        own: (M,) the part of it that the test images explain, a lower bound for the variance.
        freedom: (M,) seeds less one.
    """
    several = freedom > 0
    weight = np.minimum(PRIOR_FREEDOM, PRIOR_SHARE * freedom)
    unshrunk = FEWEST_SHRUNK - 1
    weight = weight * min(1.0, max(0.0, (several.sum() - unshrunk) / (_NETWORKS_FOR_THE_PRIOR - unshrunk)))
    typical = _typical(scatter[several], freedom[several])
    shrunk = (weight * typical + freedom * np.nan_to_num(scatter)) / np.maximum(weight + freedom, 1)
    variances = np.fmax(np.fmax(shrunk, scatter), own)
    known = np.minimum(weight + freedom, freedom[several].sum())
    variances[~several], known[~several] = variances[several].max(), known[several].min()
    return variances, known


def _typical(scatter: FloatArray, freedom: NDArray[np.int64]) -> float:
    """Return the typical variance of the networks: their mean, capped at a multiple of their median."""
    mean = float(np.average(scatter, weights=freedom))
    medians = 2 * special.gammaincinv(freedom / 2, 0.5) / freedom  # of chi-square / freedom
    return min(mean, _MOST_OF_THE_MEDIAN * float(np.median(scatter / medians)))
