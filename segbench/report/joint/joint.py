"""The networks that several leaderboards share: their ranks in each table, and how near they come to the best.

Scores of different data sets have no common scale, so that their mean says which data set is easy. Ranks have one, and
so has the ratio to the best network of a data set, of which performance profiles are made (E. Dolan and J. Moré,
"Benchmarking optimization software with performance profiles", Mathematical Programming 91, 2002).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from segbench.errors import StoreError
from segbench.report.joint.names import in_order, names_of
from segbench.report.joint.orders import TableOrder, order_of
from segbench.report.runs.network_identity import drop_copies
from segbench.report.runs.protocols import Comparison, comparisons
from segbench.report.text import is_absent
from segbench.results.record import Status

RATIOS = (0.99, 0.95, 0.9, 0.8)
"""Shares of the best score of a table at which profiles are told."""


@dataclass(frozen=True)
class Place:
    """One network in one table.

    Attributes:
        mean_iou: Its mean over seeds, a fraction of 1.
        rank: By that mean; equal ones share the better rank.
        best_rank: The best rank that trainings and images leave open, over all tables at once.
        worst_rank: The worst.
        ratio: Its score over that of the best network there; 1 where that is 0.
    """

    mean_iou: float
    rank: int
    best_rank: int
    worst_rank: int
    ratio: float


@dataclass(frozen=True)
class JointRow:
    """One network over all tables.

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
        """Return the share of tables in which the network reaches a given share of the best score."""
        return float(np.mean([place.ratio >= ratio for place in self.places.values()]))


@dataclass(frozen=True)
class JointPair:
    """Two networks over all tables.

    Attributes:
        first: The one.
        second: The other.
        ahead: The tables in which the first is told to be better.
        behind: Those in which the second is.
    """

    first: str
    second: str
    ahead: tuple[str, ...]
    behind: tuple[str, ...]

    @property
    def turns(self) -> bool:
        """Whether their order is told to be one way in some tables and the other way in others."""
        return bool(self.ahead and self.behind)


@dataclass(frozen=True)
class Joint:
    """Several leaderboards in one view.

    Attributes:
        rows: The networks that all tables have, best mean rank first.
        tables: What the tables are called.
        protocols: The protocol of each.
        pairs: All pairs of these networks.
        seeds: The fewest and the most trainings of a network in a table.
        left_out: By label, the tables that lack a network.
        undecided: By table, why it leaves every rank open.
    """

    rows: tuple[JointRow, ...]
    tables: tuple[str, ...]
    protocols: tuple[str, ...]
    pairs: tuple[JointPair, ...]
    seeds: tuple[int, int]
    left_out: dict[str, tuple[str, ...]]
    undecided: dict[str, str]


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
    chosen = {name: [networks[label] for label in shared] for name, networks in by_label.items()}
    orders = {name: _order(networks, tables=len(tables)) for name, networks in chosen.items()}
    places = {name: _places(networks, orders[name]) for name, networks in chosen.items()}
    rows = [_row(label, {name: places[name][index] for name in places}) for index, label in enumerate(shared)]
    seeds = [len(one) for networks in chosen.values() for one in networks]
    lacking = {label: tuple(name for name in by_label if label not in by_label[name]) for label in labels}
    return Joint(
        rows=tuple(sorted(rows, key=lambda row: row.mean_rank)),
        tables=tuple(tables),
        protocols=tuple(str(table["protocol"].iloc[0]) for table in tables.values()),
        pairs=_pairs(shared, orders),
        seeds=(min(seeds), max(seeds)),
        left_out={label: names for label, names in lacking.items() if names},
        undecided={name: order.undecided for name, order in orders.items() if order.undecided},
    )


def _tables(runs: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the completed runs of each table, by a name of its own."""
    found = [
        Comparison(protocol, data, drop_copies(group[group["status"] == Status.COMPLETED]))
        for protocol, data, group in comparisons(runs)
    ]
    ordered = in_order([table for table in found if len(table.runs)], map(str, runs["suite"]))
    return {name: table.runs for name, table in zip(names_of(ordered), ordered, strict=True)}


def _networks(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return {str(label): seeds for label, seeds in table.groupby("model", sort=False)}


def _order(networks: Sequence[pd.DataFrame], *, tables: int) -> TableOrder:
    groups = networks[0]["image_groups"].iloc[0]
    counts = [list(runs["image_counts"]) for runs in networks]
    return order_of(counts, tables=tables, groups=None if is_absent(groups) else groups)


def _places(networks: Sequence[pd.DataFrame], order: TableOrder) -> list[Place]:
    """Return the place of each network in one table."""
    means = np.array([runs["mean_iou"].mean() for runs in networks])
    best = float(means.max())
    return [
        Place(float(mean), 1 + int((means > mean).sum()), low, high, float(mean) / best if best > 0 else 1.0)
        for mean, (low, high) in zip(means, order.ranks, strict=True)
    ]


def _row(label: str, places: dict[str, Place]) -> JointRow:
    return JointRow(
        label,
        places,
        mean_rank=float(np.mean([place.rank for place in places.values()])),
        low=float(np.mean([place.best_rank for place in places.values()])),
        high=float(np.mean([place.worst_rank for place in places.values()])),
    )


def _pairs(labels: Sequence[str], orders: dict[str, TableOrder]) -> tuple[JointPair, ...]:
    """Return in which tables each pair of networks is told apart, and which way."""
    found = []
    for pair in combinations(range(len(labels)), 2):
        leads = {name: order.leads[pair] for name, order in orders.items()}
        ahead, behind = (tuple(name for name, lead in leads.items() if lead == sign) for sign in (1, -1))
        found.append(JointPair(labels[pair[0]], labels[pair[1]], ahead, behind))
    return tuple(found)
