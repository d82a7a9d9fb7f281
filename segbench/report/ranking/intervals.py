"""Computes confidence intervals of scores and ranks, pairwise differences, and groups of a leaderboard."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import count
from string import ascii_lowercase
from typing import Any

from segbench.metrics.resampling import image_spread, resamples_for
from segbench.metrics.scores import ClassCounts, SummaryScores
from segbench.metrics.trainings import Estimates, Scope, estimate, estimate_weights
from segbench.metrics.uncertainty import Comparison, compare_all, groups, intervals, rank_sets

LEAST_IMAGES = 10
"""Smallest number of labelled test images (or groups of images) for a bootstrap."""

RANKING_SCORE = "mean_iou"
REAL_BOUNDS = tuple(f"{name}_{end}" for name in SummaryScores._fields for end in ("low", "high"))
WHOLE_BOUNDS = ("rank_best", "rank_worst", "resamples")
CERTAINTY = (*REAL_BOUNDS, *WHOLE_BOUNDS, "group", "scope")
"""Columns about uncertainty; absent if there are too few images, or if rows have different images. ``scope`` is
``weights`` or ``networks``. Ranks and groups are those of networks."""

Seeds = Sequence[ClassCounts]
"""Counts of all test images, (N, C), by seed of one network."""


@dataclass(frozen=True)
class Certainty:
    """Uncertainty of a table.

    Attributes:
        rows: The columns ``CERTAINTY`` of each network.
        pairs: All pairs of networks by index; empty if each network was trained once.
    """

    rows: list[dict[str, Any]]
    pairs: list[Comparison]


def certainty(
    networks: Sequence[Seeds],
    *,
    trained: bool = True,
    image_groups: Sequence[Hashable] | None = None,
    resamples: int | None = None,
) -> Certainty:
    """Compute the uncertainty of one table.

    Bounds are those of 95 % intervals. ``group`` has a letter for each group of inseparable networks (paired
    differences of mean IoU, Holm-corrected over all pairs), ``a`` for the best group. If each network was trained once,
    there are no rank bounds, groups or pairs.

    Args:
        networks: The runs of each network, all tested on the same images in the same order.
        trained: Whether networks were trained; weights that were only loaded are ranked themselves.
        image_groups: The group of each image (a patient, a city); by default each image is a group.
        resamples: Number of bootstrap resamples; by default as many as the number of runs allows.
    """
    runs = [counts for seeds in networks for counts in seeds]
    if len({counts.hits.shape for counts in runs}) != 1 or _labelled_units(runs[0], image_groups) < LEAST_IMAGES:
        return Certainty([dict.fromkeys(CERTAINTY) for _ in networks], [])
    resamples = resamples or resamples_for(len(runs))
    spread = image_spread(runs, groups=image_groups, resamples=resamples)
    seeds = [len(given) for given in networks]
    known = estimate if trained else estimate_weights
    estimates = {name: known(one, seeds) for name, one in spread.items()}
    ranking = estimates[RANKING_SCORE]
    rows = [{**bounds, "resamples": resamples, "scope": str(ranking.scope)} for bounds in _bounds(estimates)]
    if trained and ranking.scope is Scope.WEIGHTS:
        return Certainty([{**dict.fromkeys(CERTAINTY), **row} for row in rows], [])
    pairs = compare_all(ranking)
    places = zip(rank_sets(len(networks), pairs), _letters(ranking, pairs), strict=True)
    named = [{"rank_best": best, "rank_worst": worst, "group": letters} for (best, worst), letters in places]
    return Certainty([row | more for row, more in zip(rows, named, strict=True)], pairs)


def _labelled_units(counts: ClassCounts, image_groups: Sequence[Hashable] | None) -> int:
    """Return the number of images (or groups) with a labelled pixel."""
    labelled: list[bool] = (counts.labelled.sum(axis=1) > 0).tolist()
    units: Sequence[Hashable] = range(len(labelled)) if image_groups is None else image_groups
    return len({unit for unit, known in zip(units, labelled, strict=True) if known})


def _bounds(estimates: dict[str, Estimates]) -> list[dict[str, float]]:
    """Return the bounds of all scores by network."""
    found = {name: intervals(one) for name, one in estimates.items()}
    networks = range(len(next(iter(found.values()))))
    return [
        {f"{name}_{end}": bound for name in found for end, bound in found[name][index]._asdict().items()}
        for index in networks
    ]


def _letters(estimates: Estimates, pairs: Sequence[Comparison]) -> list[str]:
    order = sorted(range(len(estimates.means)), key=lambda index: -estimates.means[index])
    letters = [""] * len(order)
    for number, members in zip(count(), groups(order, pairs), strict=False):
        for index in members:
            letters[index] += _letter(number)
    return letters


def _letter(number: int) -> str:
    """Return a to z, then a1, b1 and so on."""
    turn, place = divmod(number, len(ascii_lowercase))
    return ascii_lowercase[place] + (str(turn) if turn else "")
