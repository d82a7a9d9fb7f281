"""The verdict on a ranking: for each table, who is first and what that rests on."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from segbench.report.document.summary import Judged, verdicts
from segbench.report.ranking.ranking import Ranking
from segbench.report.ranking.tables import RankedTable, tables_of
from segbench.report.runs.network_identity import drop_copies
from segbench.report.runs.protocols import comparisons
from segbench.report.text import is_absent, printable


@dataclass(frozen=True)
class Verdict:
    """What to know of one table first.

    Attributes:
        winner: The network with the highest mean IoU.
        text: Sentences that name it.
    """

    winner: str
    text: str


def judged_tables(ranking: Ranking) -> list[Judged]:
    """Return each table of a ranking with its runs and its pairs."""
    compared = {(one.protocol, one.test_data): drop_copies(one.runs) for one in comparisons(ranking.runs)}
    tables = tables_of(ranking.board)
    return [Judged(table, compared[table.protocol, table.test_data], _pairs(ranking, table)) for table in tables]


def verdicts_of(ranking: Ranking) -> list[Verdict]:
    """Return the verdict on each table that scores anything."""
    scored = [one for one in judged_tables(ranking) if len(one.table.scored)]
    winners = [printable(one.table.scored.iloc[0]["model"]) for one in scored]
    return [Verdict(winner, text) for winner, text in zip(winners, verdicts(scored), strict=True)]


def _pairs(ranking: Ranking, table: RankedTable) -> pd.DataFrame:
    """Return the pairs of one table."""
    keys = zip(ranking.pairs["protocol"], ranking.pairs["test_data"], strict=True)
    same = [(_key(protocol), _key(data)) == (table.protocol, table.test_data) for protocol, data in keys]
    return ranking.pairs[pd.Series(same, index=ranking.pairs.index, dtype=bool)]


def _key(value: object) -> str | None:
    return None if is_absent(value) else str(value)
