"""Scores by number of training images, with the images that are needed, crossings, and what pretraining saves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from segbench.errors import UsageError
from segbench.metrics.scores import mean_iou
from segbench.metrics.trainings import Scope
from segbench.metrics.uncertainty import Interval, intervals, plain_intervals
from segbench.report.efficiency.crossings import Order, Pair, pairs_of
from segbench.report.efficiency.curves import Cell, Curve, CurveSet, curve_sets
from segbench.report.efficiency.estimates import (
    Estimated,
    Place,
    Score,
    check_labelled,
    estimate_curves,
    iou_of,
    score_of,
    why_no_intervals,
)
from segbench.report.efficiency.needs import Need, need, need_of_other, round_scores

NOTHING_VARIES = (
    "no recipe was trained on several fractions of its training split; write 'grid: {dataset.fraction: "
    "[1.0, 0.5, 0.25, 0.125]}' into a suite, as 'data-efficiency' has it"
)


@dataclass(frozen=True)
class Point:
    """The score of one network with so many training images.

    Attributes:
        images: How many.
        seeds: How many trainings.
        score: The mean over seeds, a fraction of 1.
        spread: The sample standard deviation over seeds; None of one seed.
        interval: The 95 % interval over trainings and test images; None where the test images are too few.
    """

    images: int
    seeds: int
    score: float
    spread: float | None
    interval: Interval | None


@dataclass(frozen=True)
class EfficiencyRow:
    """One network.

    Attributes:
        label: Its label.
        pretrained: Whether it started from pretrained weights.
        points: Its scores, fewest images first.
        needs: The images that it needs, by score.
    """

    label: str
    pretrained: bool
    points: tuple[Point, ...]
    needs: tuple[Need, ...]

    def at(self, images: int) -> Point | None:
        """Return its score with so many images; None where it was not trained on them."""
        return next((point for point in self.points if point.images == images), None)


@dataclass(frozen=True)
class Pretraining:
    """A network from pretrained weights against the same one from scratch.

    Attributes:
        pretrained: The label of the one.
        scratch: The label of the other.
        gains: By number of images that both have, pretrained less scratch with its paired 95 % interval, which is None
            where it is not known.
        goal: The most images that the one from scratch was trained on.
        match: The images with which the pretrained network does as well as the other one with these; None where
            nothing is known of networks.
    """

    pretrained: str
    scratch: str
    gains: dict[int, tuple[float, Interval | None]]
    goal: int
    match: Need | None


@dataclass(frozen=True)
class EfficiencyTable:
    """All networks of one recipe on several fractions of its training split.

    Attributes:
        name: Data set and length of the training.
        key: The protocol of the largest fraction.
        measure: What the scores are: ``mean IoU``, or the IoU of a class.
        sizes: All numbers of training images, fewest first.
        rows: The networks, best with the most images first.
        pairs: All pairs of networks; none where certainty is not known.
        pretraining: Pretrained networks beside the same ones from scratch.
        scope: Whether intervals speak of networks or of these weights; None without.
        test_images: How many test images.
        resamples: How often these were drawn; None where they are too few.
        no_intervals: Why there are no intervals; None where there are.
    """

    name: str
    key: str
    measure: str
    sizes: tuple[int, ...]
    rows: tuple[EfficiencyRow, ...]
    pairs: tuple[Pair, ...]
    pretraining: tuple[Pretraining, ...]
    scope: Scope | None
    test_images: int
    resamples: int | None
    no_intervals: str | None

    @property
    def borrows(self) -> bool:
        """Whether some networks were trained once on a number of images, in a table that speaks of networks."""
        once = any(point.seeds == 1 for row in self.rows for point in row.points)
        return once and self.scope is Scope.NETWORKS


def efficiency_tables(
    runs: pd.DataFrame,
    *,
    scores: Sequence[float] = (),
    class_name: str | None = None,
    resamples: int | None = None,
) -> list[EfficiencyTable]:
    """Return a table for each recipe that was trained on several fractions; none where there is no such recipe.

    Args:
        runs: Rows of ``load_results``.
        scores: The scores whose images are wanted; by default up to three round ones that set networks apart.
        class_name: Of which class the IoU is the score; mean IoU by default.
        resamples: How often to draw the test images; by default as many as the number of runs allows.

    Raises:
        UnknownNameError: There is no such class.
        UsageError: A score is no fraction of 1, or no test image has a label of the class.
    """
    for score in scores:
        if not 0 < score < 1:
            raise UsageError(f"a score of {score:g} cannot be reached for; give a fraction of 1, such as 0.8")
    return [_table(curves, scores, class_name, resamples) for curves in curve_sets(runs)]


def _table(curves: CurveSet, scores: Sequence[float], class_name: str | None, resamples: int | None) -> EfficiencyTable:
    score = mean_iou if class_name is None else iou_of(class_name, curves.classes)
    if class_name is not None:
        check_labelled(curves, class_name)
    estimated = estimate_curves(curves, score, resamples=resamples)
    points = {curve.label: _points(curve, score, estimated) for curve in curves.curves}
    wanted = scores or _wanted(list(points.values()))
    rows = [
        EfficiencyRow(
            curve.label,
            curve.pretrained,
            points[curve.label],
            tuple(need(curve, one, [point.score for point in points[curve.label]], estimated) for one in wanted),
        )
        for curve in curves.curves
    ]
    return EfficiencyTable(
        name=curves.name,
        key=curves.key,
        measure="mean IoU" if class_name is None else f"IoU of {class_name}",
        sizes=curves.sizes,
        rows=tuple(sorted(rows, key=lambda row: (-row.points[-1].images, -row.points[-1].score))),
        pairs=pairs_of(curves, estimated),
        pretraining=tuple(_pretraining(*pair, points, estimated) for pair in _by_start(curves.curves)),
        scope=estimated.estimates.scope if estimated else None,
        test_images=curves.images,
        resamples=estimated.resamples if estimated else None,
        no_intervals=why_no_intervals(curves),
    )


def _points(curve: Curve, score: Score, estimated: Estimated | None) -> tuple[Point, ...]:
    bounds = dict(zip(estimated.places, intervals(estimated.estimates), strict=True)) if estimated else {}
    return tuple(_point(cell, score, bounds.get(Place(curve.label, cell.images))) for cell in curve.cells)


def _point(cell: Cell, score: Score, interval: Interval | None) -> Point:
    values = [score_of(run, score) for run in cell.runs]
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Point(cell.images, len(values), float(np.mean(values)), spread, interval)


def _wanted(points: Sequence[Sequence[Point]]) -> tuple[float, ...]:
    """Return round scores above what the middle network has with the fewest images, up to the best score."""
    known = [[point.score for point in one] for one in points]
    return round_scores(float(np.median([one[0] for one in known])), max(max(one) for one in known))


def _by_start(curves: Sequence[Curve]) -> list[tuple[Curve, Curve]]:
    """Return each pretrained network with the same one from scratch."""
    return [
        (one, other)
        for one, other in product(curves, repeat=2)
        if one.pretrained and not other.pretrained and one.network == other.network
    ]


def _pretraining(
    pretrained: Curve, scratch: Curve, points: dict[str, tuple[Point, ...]], estimated: Estimated | None
) -> Pretraining:
    shared = sorted(set(pretrained.sizes) & set(scratch.sizes))
    scores = {
        (curve.label, point.images): point.score for curve in (pretrained, scratch) for point in points[curve.label]
    }
    found: list[Interval | None] = [None] * len(shared)
    if estimated and shared:
        weights = estimated.weights(pretrained, shared) - estimated.weights(scratch, shared)
        found = [None if math.isnan(one.low) else one for one in plain_intervals(estimated.sums(weights))]
    gains = {
        size: (scores[pretrained.label, size] - scores[scratch.label, size], interval)
        for size, interval in zip(shared, found, strict=True)
    }
    match = need_of_other(pretrained, scratch, estimated) if estimated and estimated.of_networks else None
    return Pretraining(pretrained.label, scratch.label, gains, scratch.sizes[-1], match)


def orders(table: EfficiencyTable, order: Order) -> list[Pair]:
    """Return the pairs of which this is known."""
    return [pair for pair in table.pairs if pair.order is order]
