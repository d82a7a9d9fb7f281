"""Single figures of stored runs, for notebooks and papers: no file is written, and no global state changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from segbench.errors import UnknownNameError, UsageError
from segbench.report.figures import DRAWINGS
from segbench.report.ranking.leaderboard import ranked
from segbench.report.runs.load import load_histories
from segbench.report.runs.one_table import one_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def figure_names() -> list[str]:
    """Return the names that ``figure`` knows."""
    return list(DRAWINGS)


def figure(runs: pd.DataFrame, name: str) -> Figure:
    """Draw one of a report's figures.

    Args:
        runs: Rows of ``load_results``, of one protocol and test data.
        name: One of ``figure_names``.

    Returns:
        A matplotlib figure that pyplot does not know of, so that nothing has to be closed. A notebook shows it;
        ``savefig`` writes it, and its ``axes`` can be changed before.

    Raises:
        UsageError: There is no such figure, the runs hold nothing for it, or are of several protocols or test data.
    """
    if name not in DRAWINGS:
        raise UnknownNameError("figure", name, DRAWINGS)
    found = one_table(runs).all
    known = ranked(found)
    plot = DRAWINGS[name](known.board, found, load_histories(found), known.pairs)
    if plot is None:
        raise UsageError(f"these runs hold nothing for the figure {name!r}; the report draws those that they allow")
    return plot.figure
