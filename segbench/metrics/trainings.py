"""What the trainings and test images of several networks say of the networks: a crossed model of seeds and images.

The score of a run, network m with seed s, is taken as

    score(m, s) = mean(m) + images(m) + training(m, s)

``images(m)`` is what the drawn test images add to every training of a network; it is shared with the other networks,
which were tested on the same images. ``training(m, s)`` is what one training adds, together with what it errs on other
images than its siblings. A network's estimate is its mean over seeds.

* The variance of ``images`` is the covariance between *different* runs over resampled images.
* The variance of ``training`` is that of the scores over seeds. Two or three seeds know it badly, so it is shrunk
  towards what is typical of the table's networks, as G. K. Smyth shrinks the variances of genes ("Linear models and
  empirical Bayes methods for assessing differential expression", Stat. Appl. Genet. Mol. Biol. 3, 2004), and never
  below the network's own: trainings of some networks scatter several times as far as those of others.
* A network with one seed borrows the largest of these variances, so that a seed less never makes it surer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy import special

from segbench.metrics.resampling import ImageSpread

FloatArray = NDArray[np.float64]

PRIOR_FREEDOM = 4.0
"""Degrees of freedom that the table's typical variance counts for, at most. Smyth estimates them from the table; with
two or three seeds a table says little of them. ``benchmarks/interval_coverage.py --prior`` tries others."""
PRIOR_SHARE = 2.0
"""How many times a network's own degrees of freedom it counts for, as far as the above allows."""
_MOST_OF_THE_MEDIAN = 2.0
"""The typical variance is the mean over networks, but at most so many times their median: one network that scatters ten
times as far as the others says nothing of these."""
_NETWORKS_FOR_THE_PRIOR = 5
"""Networks with several seeds from which on the typical variance counts in full; of two it says nothing new."""


class Scope(StrEnum):
    """Of what an interval speaks."""

    WEIGHTS = "weights"
    """Of these weights: how they would do on other test images."""
    NETWORKS = "networks"
    """Of the networks: how another training of them would do, too."""


@dataclass(frozen=True, eq=False)
class Estimates:
    """What is known of one score of several networks.

    Attributes:
        scope: Whether of the networks or of these weights only.
        means: (M,) the mean over seeds.
        images: (M, M) covariance that the test images give these means, over and above ``trainings``.
        trainings: (M,) variance that few trainings give them; 0 where the scope is these weights.
        freedom: (M,) its degrees of freedom.
        image_freedom: Degrees of freedom of ``images``.
    """

    scope: Scope
    means: FloatArray
    images: FloatArray
    trainings: FloatArray
    freedom: FloatArray
    image_freedom: int


def estimate(spread: ImageSpread, seeds: Sequence[int]) -> Estimates:
    """Work out what runs say of their networks.

    Args:
        spread: Of one score, the runs network by network.
        seeds: How many runs each network has; where all have one, the scope is these weights.
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
    """Work out what runs say of these weights, or of the mean over several, on other images; see ``estimate``."""
    networks, none = _networks(seeds), np.zeros(len(seeds))
    means, images = _means(spread.scores, networks), _between(spread.covariance, networks)
    return Estimates(Scope.WEIGHTS, means, images, none, none, spread.images - 1)


def _networks(seeds: Sequence[int]) -> list[slice]:
    """Return which runs are those of each network."""
    return [slice(int(end) - size, int(end)) for end, size in zip(np.cumsum(seeds), seeds, strict=True)]


def _means(scores: FloatArray, networks: Sequence[slice]) -> FloatArray:
    return np.array([scores[runs].mean() for runs in networks])


def _between(covariance: FloatArray, networks: Sequence[slice]) -> FloatArray:
    """Return the (M, M) covariance of the means over seeds."""
    return np.array([[covariance[one, other].mean() for other in networks] for one in networks])


def _split(covariance: FloatArray, networks: Sequence[slice]) -> tuple[FloatArray, FloatArray]:
    """Split the covariance of runs over images into what trainings share and what is each training's own.

    Returns:
        (M, M) the mean covariance of different runs, of one network on the diagonal, and (M,) by how much that of a run
        with itself exceeds it. Of a network with one run, all counts as shared.
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
        scatter: (M,) variance of the scores over seeds, NaN with one seed.
        own: (M,) the part of it that the test images explain; the variance is never below it.
        freedom: (M,) seeds less one.
    """
    several = freedom > 0
    weight = np.minimum(PRIOR_FREEDOM, PRIOR_SHARE * freedom)
    weight = weight * min(1.0, max(0.0, (several.sum() - 2) / (_NETWORKS_FOR_THE_PRIOR - 2)))
    typical = _typical(scatter[several], freedom[several])
    shrunk = (weight * typical + freedom * np.nan_to_num(scatter)) / np.maximum(weight + freedom, 1)
    variances = np.fmax(np.fmax(shrunk, scatter), own)
    known = np.minimum(weight + freedom, freedom[several].sum())
    variances[~several], known[~several] = variances[several].max(), known[several].min()
    return variances, known


def _typical(scatter: FloatArray, freedom: NDArray[np.int64]) -> float:
    """Return the variance that networks have in common: their mean, unless a few lie far above the median."""
    mean = float(np.average(scatter, weights=freedom))
    medians = 2 * special.gammaincinv(freedom / 2, 0.5) / freedom  # of a chi-square over its degrees of freedom
    return min(mean, _MOST_OF_THE_MEDIAN * float(np.median(scatter / medians)))
