"""How certain a table of a leaderboard is: intervals of scores and ranks, differences of pairs, and groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from string import ascii_lowercase
from typing import Any

import numpy as np

from segbench.metrics.resampling import Draws, draw, resamples_for
from segbench.metrics.scores import ClassCounts, SummaryScores
from segbench.metrics.uncertainty import Comparison, compare_all, groups, interval, rank_intervals

LEAST_IMAGES = 10
"""Fewer test images than this say too little of all the others to resample them."""

RANKING_SCORE = "mean_iou"
REAL_BOUNDS = tuple(f"{name}_{end}" for name in SummaryScores._fields for end in ("low", "high"))
WHOLE_BOUNDS = ("rank_best", "rank_worst", "resamples")
CERTAINTY = (*REAL_BOUNDS, *WHOLE_BOUNDS, "group")
"""What a row tells of its certainty; absent where there are too few images, or they are not the same for all rows."""

Seeds = Sequence[ClassCounts]
"""The counts of every test image, (N, C), by seed of one network."""


@dataclass(frozen=True)
class Certainty:
    """How certain a table is.

    Attributes:
        rows: By network, its ``CERTAINTY``.
        pairs: Every pair of networks, by their positions; empty where nothing is known.
    """

    rows: list[dict[str, Any]]
    pairs: list[Comparison]


def certainty(networks: Sequence[Seeds], estimates: Sequence[float]) -> Certainty:
    """Return the certainty of one table.

    Bounds are those of 95 % intervals. ``group`` holds a letter for each group of neighbours in the ranking that cannot
    be told apart (paired differences of mean IoU, Holm-corrected over all pairs), ``a`` for the best.

    Args:
        networks: By network: its runs, all tested on the same images in the same order.
        estimates: Their mean IoU.
    """
    shapes = {counts.hits.shape for seeds in networks for counts in seeds}
    if len(shapes) != 1 or next(iter(shapes))[0] < LEAST_IMAGES:
        return Certainty([dict.fromkeys(CERTAINTY) for _ in networks], [])
    resamples = resamples_for(sum(map(len, networks)))
    drawn = draw(networks, resamples=resamples)
    ranks = rank_intervals(np.stack([draws.values for draws in drawn[RANKING_SCORE]]))
    pairs = compare_all(estimates, drawn[RANKING_SCORE])
    letters = _letters(estimates, pairs)
    rows = [
        {
            **_bounds([(name, drawn[name][index]) for name in SummaryScores._fields]),
            "rank_best": best,
            "rank_worst": worst,
            "resamples": resamples,
            "group": letters[index],
        }
        for index, (best, worst) in enumerate(ranks)
    ]
    return Certainty(rows, pairs)


def _bounds(scores: Sequence[tuple[str, Draws]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, draws in scores:
        found[f"{name}_low"], found[f"{name}_high"] = interval(draws.values)
    return found


def _letters(estimates: Sequence[float], pairs: Sequence[Comparison]) -> list[str]:
    order = sorted(range(len(estimates)), key=lambda index: -estimates[index])
    letters = [""] * len(estimates)
    for number, members in zip(count(), groups(order, pairs), strict=False):
        for index in members:
            letters[index] += _letter(number)
    return letters


def _letter(number: int) -> str:
    """Return a to z, then a1, b1 and so on."""
    turn, place = divmod(number, len(ascii_lowercase))
    return ascii_lowercase[place] + (str(turn) if turn else "")
