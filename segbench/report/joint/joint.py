"""The networks that several leaderboards share: their ranks in each table, and how near they come to the best.

Scores of different data sets have no common scale, so that their mean says which data set is easy. Ranks have one, and
so has the ratio to the best network of a data set, of which performance profiles are made (E. Dolan and J. Moré,
"Benchmarking optimization software with performance profiles", Mathematical Programming 91, 2002).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from segbench.errors import StoreError
from segbench.metrics.uncertainty import Comparison, Interval
from segbench.report.joint.orders import TableOrder, order_of
from segbench.report.joint.tables import NamedTable, differing_options, leaderboards_of, shared_networks
from segbench.report.ranking.ranking import Ranking
from segbench.report.text import is_absent

RATIOS = (0.99, 0.95, 0.9, 0.8)
"""Shares of the best score of a table at which profiles are told."""


@dataclass(frozen=True)
class Place:
    """One network in one table.

    Attributes:
        mean_iou: Its mean over seeds, a fraction of 1.
        rank: By that mean among the networks of the joint view; equal ones share the better rank.
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
class Incomplete:
    """A table that is left out of a joint view.

    Attributes:
        name: What it is called.
        protocol: Its protocol.
        suite: Its suite.
        lacks: The networks of the view that it does not score.
    """

    name: str
    protocol: str
    suite: str
    lacks: tuple[str, ...]


@dataclass(frozen=True)
class Joint:
    """Several leaderboards in one view.

    Attributes:
        rows: The networks that all tables have, best mean rank first.
        tables: What the tables are called.
        protocols: The protocol of each.
        suites: The suite of each.
        pairs: All pairs of these networks.
        seeds: The fewest and the most trainings of a network in a table.
        undecided: By table that compares no networks, the reason.
        left_out: By network, the tables that lack it.
        incomplete: The tables that are left out, because they lack some of these networks.
        differing: By network, the options in which it differs between tables; empty where only its code or its
            initial weights do.
    """

    rows: tuple[JointRow, ...]
    tables: tuple[str, ...]
    protocols: tuple[str, ...]
    suites: tuple[str, ...]
    pairs: tuple[JointPair, ...]
    seeds: tuple[int, int]
    undecided: dict[str, str]
    left_out: dict[str, tuple[str, ...]]
    incomplete: tuple[Incomplete, ...]
    differing: dict[str, tuple[str, ...]]

    @property
    def decided(self) -> int:
        """How many tables compare networks."""
        return len(self.tables) - len(self.undecided)

    @property
    def telling(self) -> int:
        """How many tables tell any two networks apart."""
        return len({table for pair in self.pairs for table in (*pair.ahead, *pair.behind)})


def joint(ranking: Ranking) -> Joint:
    """Return the joint view of several leaderboards.

    Networks are matched by label; suites may still differ, for example in width. Smaller fractions of a training split
    and tuned recipes are left out: other views compare these with the whole split and the shared recipe.

    Raises:
        StoreError: There are fewer than two tables, or no two networks are in two of them.
    """
    found = leaderboards_of(ranking)
    if len(found) < 2:
        raise StoreError(
            "a joint view needs two leaderboards; give the folders of several suites, or one with a grid of recipes"
        )
    tables, labels = shared_networks(found)
    if len(tables) < 2:
        names = ", ".join(table.name for table in found)
        raise StoreError(f"no two of these tables share two networks, by label; give the networks equal ones: {names}")
    undecided = {table.name: reason for table in tables if (reason := _why_undecided(table, labels))}
    orders = {table.name: _order(table, labels, decided=len(tables) - len(undecided)) for table in tables}
    places = {table.name: _places(table, labels, orders[table.name]) for table in tables}
    rows = [_row(label, {name: places[name][index] for name in places}) for index, label in enumerate(labels)]
    seeds = [int(table.scored[label].seeds) for table in tables for label in labels]
    everyone = dict.fromkeys(label for table in tables for label in table.scored)
    absent = {label: tuple(table.name for table in tables if label not in table.scored) for label in everyone}
    return Joint(
        rows=tuple(sorted(rows, key=lambda row: row.mean_rank)),
        tables=tuple(table.name for table in tables),
        protocols=tuple(table.protocol for table in tables),
        suites=tuple(table.suite for table in tables),
        pairs=_pairs(labels, orders),
        seeds=(min(seeds), max(seeds)),
        undecided=undecided,
        left_out={label: names for label, names in absent.items() if names},
        incomplete=tuple(_incomplete(table, labels) for table in found if table not in tables),
        differing=differing_options(tables, labels),
    )


def _incomplete(table: NamedTable, labels: Sequence[str]) -> Incomplete:
    lacks = tuple(label for label in labels if label not in table.scored)
    return Incomplete(table.name, table.protocol, table.suite, lacks)


def _why_undecided(table: NamedTable, labels: Sequence[str]) -> str | None:
    """Return why a table compares no networks; None where it does."""
    if _compared(table, labels):
        return None
    rows = [table.scored[label] for label in labels]
    if all(is_absent(row.resamples) for row in rows):
        return "networks were tested on too few images, or not on the same ones"
    return "each network was trained once"


def _compared(table: NamedTable, labels: Sequence[str]) -> list[Comparison]:
    """Return the table's comparisons of these networks, by their numbers."""
    numbers = {table.scored[label].model: number for number, label in enumerate(labels)}
    pairs: list[Any] = list(table.pairs.itertuples())
    return [
        _in_order(numbers[pair.first], numbers[pair.second], pair)
        for pair in pairs
        if pair.first in numbers and pair.second in numbers
    ]


def _in_order(first: int, second: int, pair: Any) -> Comparison:
    """Return a comparison whose first network has the smaller number."""
    if first < second:
        return Comparison(first, second, pair.difference, Interval(pair.low, pair.high), pair.p_value)
    return Comparison(second, first, -pair.difference, Interval(-pair.high, -pair.low), pair.p_value)


def _order(table: NamedTable, labels: Sequence[str], *, decided: int) -> TableOrder:
    return order_of(len(labels), _compared(table, labels), tables=decided)


def _places(table: NamedTable, labels: Sequence[str], order: TableOrder) -> list[Place]:
    """Return the place of each network in one table."""
    means = np.array([float(table.scored[label].mean_iou) for label in labels])
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
