"""How certain a table of a leaderboard is: intervals of scores and ranks, differences of pairs, and groups."""

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
"""Fewer labelled test images than this, or groups of images, say too little of all the others to resample them."""

RANKING_SCORE = "mean_iou"
REAL_BOUNDS = tuple(f"{name}_{end}" for name in SummaryScores._fields for end in ("low", "high"))
WHOLE_BOUNDS = ("rank_best", "rank_worst", "resamples")
CERTAINTY = (*REAL_BOUNDS, *WHOLE_BOUNDS, "group", "scope")
"""What a row says of its certainty; absent where there are too few images, or they are not the same for all rows.
``scope`` says of what: of these ``weights``, or of the ``networks``. Ranks and groups are those of networks."""

Seeds = Sequence[ClassCounts]
"""The counts of every test image, (N, C), by seed of one network."""


@dataclass(frozen=True)
class Certainty:
    """How certain a table is.

    Attributes:
        rows: By network, its ``CERTAINTY``.
        pairs: Every pair of networks, by their positions; empty where nothing is known of networks.
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
    """Return the certainty of one table.

    Bounds are those of 95 % intervals. ``group`` holds a letter for each group of networks that cannot be told apart
    (paired differences of mean IoU, Holm-corrected over all pairs), ``a`` for that of the best. Where each network was
    trained once, nothing is said of networks: no rank bounds, no groups, no pairs.

    Args:
        networks: By network: its runs, all tested on the same images in the same order.
        trained: Whether there was any training; weights that were only loaded are ranked themselves.
        image_groups: What each image belongs to (a patient, a city); each stands alone by default.
        resamples: How often to draw the images; as many as the number of runs allows by default.
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
    """Return how many images, or groups of them, have a labelled pixel."""
    labelled: list[bool] = (counts.labelled.sum(axis=1) > 0).tolist()
    units: Sequence[Hashable] = range(len(labelled)) if image_groups is None else image_groups
    return len({unit for unit, known in zip(units, labelled, strict=True) if known})


def _bounds(estimates: dict[str, Estimates]) -> list[dict[str, float]]:
    """Return the bounds of every score, by network."""
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
