"""The order of networks within one of several tables, so that all tables may be wrong with 5 % together."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from segbench.metrics.resampling import image_spread, resamples_for
from segbench.metrics.scores import ClassCounts
from segbench.metrics.trainings import estimate
from segbench.metrics.uncertainty import compare_all, rank_sets
from segbench.report.ranking.intervals import LEAST_IMAGES


@dataclass(frozen=True)
class TableOrder:
    """What one table says of the order of its networks.

    Attributes:
        undecided: Why it leaves every rank open; None where it says something of networks.
        ranks: By network, the best and the worst rank that trainings and images leave open.
        leads: By pair of networks, 1 where the first is told to be better, -1 where the second is, 0 where they are
            not told apart.
    """

    undecided: str | None
    ranks: tuple[tuple[int, int], ...]
    leads: dict[tuple[int, int], int]


def order_of(
    networks: Sequence[Sequence[ClassCounts]],
    *,
    tables: int,
    groups: Sequence[Hashable] | None = None,
    resamples: int | None = None,
) -> TableOrder:
    """Compare all networks of a table, in which each was trained several times and tested on the same images.

    P values are those of the leaderboard, Holm-adjusted over the table's pairs, times the number of tables.

    Args:
        networks: By network, the counts of each training.
        tables: How many tables are judged together.
        groups: The group of each test image, such as its video; None where all are independent.
        resamples: How often to draw the test images; by default as many as the number of runs allows.
    """
    seeds = [len(trainings) for trainings in networks]
    counts = [one for trainings in networks for one in trainings]
    undecided = "each network was trained once" if max(seeds) == 1 else _incomparable(counts)
    if undecided:
        open_ranks = ((1, len(networks)),) * len(networks)
        return TableOrder(undecided, open_ranks, dict.fromkeys(combinations(range(len(networks)), 2), 0))
    spread = image_spread(counts, groups=groups, resamples=resamples or resamples_for(len(counts)))
    pairs = compare_all(estimate(spread["mean_iou"], seeds))
    pairs = [replace(one, p_value=min(1.0, one.p_value * tables)) for one in pairs]
    leads = {(one.first, one.second): (1 if one.difference > 0 else -1) if one.separable else 0 for one in pairs}
    return TableOrder(None, tuple(rank_sets(len(networks), pairs)), leads)


def _incomparable(counts: Sequence[ClassCounts]) -> str | None:
    """Return why test images allow no comparison; None where they do."""
    if len({one.hits.shape for one in counts}) > 1:
        return "networks were tested on different images"
    return f"there are fewer than {LEAST_IMAGES} test images" if len(counts[0].hits) < LEAST_IMAGES else None
