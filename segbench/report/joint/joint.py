"""The networks that several leaderboards share: their ranks on each data set, and how near they come to the best.

Scores of different data sets have no common scale, so that their mean says which data set is easy. Ranks have one, and
so has the ratio to the best network of a data set, of which performance profiles are made (E. Dolan and J. Moré,
"Benchmarking optimization software with performance profiles", Mathematical Programming 91, 2002).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from segbench.errors import StoreError
from segbench.metrics.resampling import image_spread, resamples_for
from segbench.metrics.trainings import Scope, estimate
from segbench.metrics.uncertainty import compare_all, rank_sets
from segbench.report.ranking.intervals import LEAST_IMAGES
from segbench.report.runs.network_identity import drop_copies
from segbench.report.runs.protocols import comparisons
from segbench.report.text import is_absent
from segbench.results.record import Status

RATIOS = (0.99, 0.95, 0.9, 0.8)
"""Shares of the best score of a data set at which profiles are told in tables."""


@dataclass(frozen=True)
class Place:
    """One network on one data set.

    Attributes:
        mean_iou: Its mean over seeds, a fraction of 1.
        rank: By that mean; equal ones share the better rank.
        best_rank: The best rank that trainings and images leave open, over all data sets at once.
        worst_rank: The worst.
        ratio: Its score over that of the best network there.
    """

    mean_iou: float
    rank: int
    best_rank: int
    worst_rank: int
    ratio: float


@dataclass(frozen=True)
class JointRow:
    """One network over all data sets.

    Attributes:
        label: Its label.
        places: By table, its place.
        mean_rank: The mean of its ranks.
        low: The best mean rank that is left open at 95 %.
        high: The worst.
    """

    label: str
    places: dict[str, Place]
    mean_rank: float
    low: float
    high: float

    def profile(self, ratio: float) -> float:
        """Return the share of data sets on which the network reaches a given share of the best score."""
        return float(np.mean([place.ratio >= ratio for place in self.places.values()]))


@dataclass(frozen=True)
class Joint:
    """Several leaderboards in one view.

    Attributes:
        rows: The networks that all tables have, best mean rank first.
        tables: What the tables are called.
        left_out: By label, the tables that lack a network.
        single: Tables in which each network was trained once, so that ranks are undetermined.
    """

    rows: tuple[JointRow, ...]
    tables: tuple[str, ...]
    left_out: dict[str, tuple[str, ...]]
    single: tuple[str, ...]


def joint(runs: pd.DataFrame) -> Joint:
    """Return the joint view of several leaderboards.

    Networks are matched by label; suites may still differ, for example in width.

    Args:
        runs: Rows of ``load_results``, of at least two tables.

    Raises:
        StoreError: There are fewer than two tables, or no two networks are in all of them.
    """
    tables = _tables(runs)
    if len(tables) < 2:
        raise StoreError("a joint view needs runs on at least two data sets; give the folders of several suites")
    by_label = {name: _networks(table) for name, table in tables.items()}
    labels = list(dict.fromkeys(label for networks in by_label.values() for label in networks))
    shared = [label for label in labels if all(label in networks for networks in by_label.values())]
    if len(shared) < 2:
        raise StoreError(f"no two networks are in all of these tables, by their labels: {', '.join(tables)}")
    places, single = {}, []
    for name, networks in by_label.items():
        places[name], scope = _places([networks[label] for label in shared], tables=len(tables))
        single += [name] if scope is Scope.WEIGHTS else []
    rows = [_row(label, {name: places[name][index] for name in places}) for index, label in enumerate(shared)]
    lacking = {label: tuple(name for name in by_label if label not in by_label[name]) for label in labels}
    return Joint(
        rows=tuple(sorted(rows, key=lambda row: row.mean_rank)),
        tables=tuple(tables),
        left_out={label: names for label, names in lacking.items() if names},
        single=tuple(single),
    )


def _tables(runs: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the completed runs of each table, by a name of its own."""
    found: dict[str, pd.DataFrame] = {}
    for protocol, _, group in comparisons(runs):
        completed = drop_copies(group[group["status"] == Status.COMPLETED])
        if len(completed):
            suite = str(completed["suite"].iloc[0])
            found[suite if suite not in found else f"{suite} {str(protocol)[:8]}"] = completed
    return found


def _networks(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return {str(label): seeds for label, seeds in table.groupby("model", sort=False)}


def _places(networks: Sequence[pd.DataFrame], *, tables: int) -> tuple[list[Place], Scope]:
    """Return the places of networks on one data set, and whether they were trained several times.

    Rank intervals hold for all tables at once: p values are multiplied by the number of tables.
    """
    seeds = [len(runs) for runs in networks]
    counts = [one for runs in networks for one in runs["image_counts"]]
    groups = networks[0]["image_groups"].iloc[0]
    means = np.array([runs["mean_iou"].mean() for runs in networks])
    scope, bounds = Scope.WEIGHTS, [(1, len(networks))] * len(networks)
    if max(seeds) > 1 and len({one.hits.shape for one in counts}) == 1 and len(counts[0].hits) >= LEAST_IMAGES:
        spread = image_spread(
            counts, groups=None if is_absent(groups) else groups, resamples=resamples_for(len(counts))
        )
        scope = Scope.NETWORKS
        pairs = compare_all(estimate(spread["mean_iou"], seeds))
        bounds = rank_sets(len(networks), [replace(one, p_value=min(1.0, one.p_value * tables)) for one in pairs])
    ranks = [1 + int((means > mean).sum()) for mean in means]
    best = float(means.max())
    return [
        Place(float(mean), rank, low, high, float(mean) / best if best > 0 else math.nan)
        for mean, rank, (low, high) in zip(means, ranks, bounds, strict=True)
    ], scope


def _row(label: str, places: dict[str, Place]) -> JointRow:
    return JointRow(
        label,
        places,
        mean_rank=float(np.mean([place.rank for place in places.values()])),
        low=float(np.mean([place.best_rank for place in places.values()])),
        high=float(np.mean([place.worst_rank for place in places.values()])),
    )
