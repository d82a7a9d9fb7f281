"""The leaderboards that a joint view is made of, and the networks that they share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from segbench.report.efficiency.curves import smaller_fractions
from segbench.report.joint.names import in_order, names_of
from segbench.report.ranking.ranking import Ranking
from segbench.report.runs.network_identity import network_key
from segbench.report.text import canonical, is_absent
from segbench.report.verdict import judged_tables


@dataclass(frozen=True, eq=False)
class NamedTable:
    """One leaderboard.

    Attributes:
        name: What it is called.
        protocol: Its protocol.
        runs: The rows of ``load_results`` that it is made of.
        scored: Its rows with a score, by label.
        pairs: Its pairs, with the columns of ``Ranking.pairs``.
    """

    name: str
    protocol: str
    runs: pd.DataFrame
    scored: dict[str, Any]
    pairs: pd.DataFrame

    @property
    def suite(self) -> str:
        """The suite of its runs."""
        return str(self.runs["suite"].iloc[0])


def leaderboards_of(ranking: Ranking) -> list[NamedTable]:
    """Return all tables that score a network, with names."""
    smaller = smaller_fractions(ranking.runs)
    judged = [
        one
        for one in judged_tables(ranking)
        if len(one.table.scored) and one.table.protocol not in smaller and is_absent(one.table.rows["tuning"].iloc[0])
    ]
    ordered = in_order(judged, ranking.runs["suite"])
    return [
        NamedTable(name, str(one.table.protocol), one.runs, _by_label(one.table.scored, one.runs), one.pairs)
        for name, one in zip(names_of(ordered), ordered, strict=True)
    ]


def _by_label(scored: pd.DataFrame, runs: pd.DataFrame) -> dict[str, Any]:
    """Return the rows of a table by the label that the suite gave, where that is one network's alone there."""
    given = dict(zip(runs["model"], runs["label"], strict=True))
    rows: list[Any] = list(scored.itertuples())
    labels = [str(given[row.model]) for row in rows]
    return {label if labels.count(label) == 1 else str(row.model): row for label, row in zip(labels, rows, strict=True)}


def shared_networks(tables: Sequence[NamedTable]) -> tuple[list[NamedTable], list[str]]:
    """Return the tables and the networks that are compared: all of these networks are in all of these tables.

    Networks come in by the number of tables that have them. Of these sets, the one of the most scores is taken; where
    two have as many, that of more tables. No tables are returned where no two share two networks.
    """
    counts = Counter(label for table in tables for label in table.scored)
    labels = sorted(counts, key=lambda label: -counts[label])
    best: tuple[list[NamedTable], list[str]] = [], []
    for number in range(2, len(labels) + 1):
        chosen = labels[:number]
        having = [table for table in tables if all(label in table.scored for label in chosen)]
        if len(having) > 1 and number * len(having) > len(best[0]) * len(best[1]):
            best = having, chosen
    return best


def differing_options(tables: Iterable[NamedTable], labels: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the networks that are not the same in all tables, with the options that differ."""
    found = {}
    for label in labels:
        models = {table.scored[label].model for table in tables}
        runs: list[Any] = [run for table in tables for run in table.runs.itertuples() if run.model in models]
        keys = {network_key(run)._replace(label=label): run.options for run in runs}
        if len(keys) > 1:
            names = dict.fromkeys(str(name) for options in keys.values() for name in options)
            values = {name: {canonical(options.get(name)) for options in keys.values()} for name in names}
            found[label] = tuple(name for name in names if len(values[name]) > 1)
    return found
