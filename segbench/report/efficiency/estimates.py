"""Estimates of every network's score at every number of training images, and between them on a logarithmic scale."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from segbench.errors import UnknownNameError, UsageError
from segbench.metrics.resampling import ImageSpread, by_group, resampled, resamples_for, spread_of_values
from segbench.metrics.scores import ClassCounts
from segbench.metrics.trainings import Estimates, Scope, estimate, weighted_sums
from segbench.report.efficiency.curves import Curve, CurveSet
from segbench.report.ranking.intervals import LEAST_IMAGES
from segbench.report.text import plural

FloatArray = NDArray[np.float64]
Score = Callable[[ClassCounts], FloatArray]
"""Returns a score of (..., C) counts."""


class Place(NamedTuple):
    """A network trained on so many images."""

    label: str
    images: int


@dataclass(frozen=True, eq=False)
class Estimated:
    """The scores of all networks at all numbers of images, with their variances.

    Attributes:
        places: What each estimate is of.
        estimates: The estimates.
        correlation: That of two trainings of one network and seed on neighbouring numbers of images.
        resamples: How often the test images were drawn.
    """

    places: tuple[Place, ...]
    estimates: Estimates
    correlation: float
    resamples: int

    @property
    def of_networks(self) -> bool:
        """Whether the estimates hold for the networks, and not for these weights only."""
        return self.estimates.scope is Scope.NETWORKS

    def labels_at(self, images: int) -> list[str]:
        """Return the networks that were trained on so many images."""
        return [place.label for place in self.places if place.images == images]

    def at(self, images: int) -> Estimates:
        """Return the estimates of the networks that were trained on so many images; see ``labels_at``."""
        return _subset(self.estimates, [index for index, place in enumerate(self.places) if place.images == images])

    def weights(self, curve: Curve, images: Sequence[float] | FloatArray) -> FloatArray:
        """Return the (K, M) weights that interpolate a curve at (K,) numbers of images, straight on their logarithm.

        Outside of what was tested, the curve stays as it is at its end.
        """
        weights = np.zeros((len(images), len(self.places)))
        logarithms = np.log(curve.sizes)
        for corner, size in zip(np.eye(len(curve.cells)), curve.sizes, strict=True):
            column = self.places.index(Place(curve.label, size))
            weights[:, column] = np.interp(np.log(np.asarray(images, np.float64)), logarithms, corner)
        return weights

    def sums(self, weights: FloatArray) -> Estimates:
        """Return the estimates of weighted sums, given (K, M) weights: trainings of one network go together."""
        labels = list(dict.fromkeys(place.label for place in self.places))
        families = [labels.index(place.label) for place in self.places]
        return weighted_sums(self.estimates, weights, families=families, correlation=self.correlation)


def iou_of(name: str, classes: Sequence[str]) -> Score:
    """Return the score that is the IoU of one class.

    Raises:
        UnknownNameError: There is no such class.
    """
    if name not in classes:
        raise UnknownNameError("class", name, dict.fromkeys(classes))
    index = list(classes).index(name)

    def score(counts: ClassCounts) -> FloatArray:
        hits, labelled, predicted = (np.asarray(part, np.float64)[..., index] for part in counts)
        union = labelled + predicted - hits
        return np.divide(hits, union, out=np.full_like(hits, np.nan), where=union > 0)

    return score


def score_of(counts: ClassCounts, score: Score) -> float:
    """Return the score of one run over all its test images."""
    return float(score(counts.total))


def why_no_intervals(curves: CurveSet) -> str | None:
    """Return why scores get no intervals; None where they get some."""
    if curves.units >= LEAST_IMAGES:
        return None
    found = (
        plural(curves.units, "test image")
        if curves.groups is None
        else f"{plural(curves.units, 'group')} of test images"
    )
    return f"{found} {'is' if curves.units == 1 else 'are'} too few for intervals, which need {LEAST_IMAGES}"


def check_labelled(curves: CurveSet, name: str) -> None:
    """Check that test images have labels of a class; without any, its IoU is not defined.

    Raises:
        UsageError: None of them has.
    """
    index = curves.classes.index(name)
    if not any(run.labelled[:, index].any() for curve in curves.curves for cell in curve.cells for run in cell.runs):
        raise UsageError(f"{curves.name}: no test image has a label of the class {name!r}; name another class")


def estimate_curves(curves: CurveSet, score: Score, *, resamples: int | None = None) -> Estimated | None:
    """Estimate a score at every place; None where there are too few test images.

    All runs are scored on the same resamples of the test images, so that all differences are paired. The variance
    over trainings is shrunk over the networks with the same number of images, as in their leaderboard.

    Args:
        curves: The networks.
        score: The score.
        resamples: How often to draw the test images; by default as many as the number of runs allows.
    """
    places = [Place(curve.label, cell.images) for curve in curves.curves for cell in curve.cells]
    cells = [cell.runs for curve in curves.curves for cell in curve.cells]
    runs = [run for cell in cells for run in cell]
    if why_no_intervals(curves):
        return None
    drawn = resamples or resamples_for(len(runs))
    spread = _spread(runs, curves.groups or range(curves.images), score, drawn)
    estimates = _by_size(spread, [len(cell) for cell in cells], [place.images for place in places])
    return Estimated(tuple(places), estimates, _correlation(curves, score), drawn)


def _spread(runs: Sequence[ClassCounts], groups: Sequence[Hashable], score: Score, resamples: int) -> ImageSpread:
    """Return how the test images make the score of every run scatter."""
    scores = np.array([score_of(run, score) for run in runs])
    grouped, units = by_group(runs, groups)
    return spread_of_values(scores, resampled(grouped, units, resamples, score), units=units)


def _by_size(spread: ImageSpread, seeds: Sequence[int], sizes: Sequence[int]) -> Estimates:
    """Return the estimates of all places, whose trainings are compared with those on as many images."""
    whole = estimate(spread, seeds)
    ends = np.cumsum(seeds)
    variances, freedom = whole.trainings.copy(), whole.freedom.copy()
    for size in set(sizes):
        members = [index for index, other in enumerate(sizes) if other == size]
        counted = [seeds[index] for index in members]
        if max(counted) == 1:
            continue  # known of other sizes, or of none
        runs = np.concatenate([np.arange(ends[index] - seeds[index], ends[index]) for index in members])
        part = ImageSpread(spread.scores[runs], spread.covariance[np.ix_(runs, runs)], spread.images)
        found = estimate(part, counted)
        variances[members], freedom[members] = found.trainings, found.freedom
    return replace(whole, trainings=variances, freedom=freedom)


def _correlation(curves: CurveSet, score: Score) -> float:
    """Return the correlation of trainings with one seed on neighbouring numbers of images, over all networks.

    Such trainings begin with the same weights, so that a good one may be good on fewer images too. One network is too
    little to tell; 0 is the least.
    """
    products, sizes = 0.0, 0.0
    for curve in curves.curves:
        scores = [
            {seed: score_of(run, score) for seed, run in zip(cell.seeds, cell.runs, strict=True)}
            for cell in curve.cells
        ]
        for fewer, more in pairwise(scores):
            shared = sorted(set(fewer) & set(more))
            if len(shared) > 1:
                pair = np.array([[one[seed] for seed in shared] for one in (fewer, more)])
                apart = pair - pair.mean(axis=1, keepdims=True)
                products += float(np.prod(apart, axis=0).sum())
                sizes += float(np.sqrt(np.prod((apart**2).sum(axis=1))))
    return min(1.0, max(0.0, products / sizes)) if sizes > 0 else 0.0


def _subset(estimates: Estimates, members: Sequence[int]) -> Estimates:
    return replace(
        estimates,
        means=estimates.means[members],
        images=estimates.images[np.ix_(members, members)],
        trainings=estimates.trainings[members],
        freedom=estimates.freedom[members],
    )
