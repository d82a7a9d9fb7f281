"""Stored runs scored as other tools would score them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from segbench.metrics.conventions import CONVENTIONS, ConventionScores, convention
from segbench.report.folds import folders_of
from segbench.report.leaderboard import leaderboard
from segbench.report.networks import distinguish, once_each
from segbench.report.protocols import comparisons
from segbench.results.matrices import joined, load_matrices
from segbench.results.record import Status
from segbench.results.scan import CONFUSION_FILE

COLUMNS = ("protocol", "test_data", "rank", "model", "seeds", "convention", *ConventionScores._fields)


def rescored(runs: pd.DataFrame, names: Sequence[str] = tuple(CONVENTIONS)) -> pd.DataFrame:
    """Score every ranked network by several conventions.

    Args:
        runs: Rows of ``load_results``.
        names: Conventions by name; all by default.

    Returns:
        One row a network and convention with the columns ``COLUMNS``, in the leaderboard's order: ``rank`` is that of
        the leaderboard, scores are means over seeds, NaN where the tool prints NaN or no such figure.

    Raises:
        UnknownNameError: There is no such convention.
        StoreError: A run's matrices cannot be read.
    """
    chosen = {name: convention(name) for name in names}
    scores: dict[tuple[Any, Any, str], dict[str, ConventionScores]] = {}
    runs = distinguish(runs)
    for protocol, test_data, group in comparisons(runs):
        completed = once_each(group[group["status"] == Status.COMPLETED])
        for model, seeds in completed.groupby("model", sort=False):
            matrices = [
                joined([load_matrices(folder / CONFUSION_FILE) for folder in folders_of(run)]).matrices
                for run in seeds.itertuples()
            ]
            scores[protocol, test_data, str(model)] = {
                name: _mean([one.score(each) for each in matrices]) for name, one in chosen.items()
            }
    board = leaderboard(runs)
    rows = [
        {**row[["protocol", "test_data", "rank", "model", "seeds"]].to_dict(), "convention": name, **found._asdict()}
        for _, row in board[board["rank"].notna()].iterrows()
        for name, found in scores[row["protocol"], row["test_data"], row["model"]].items()
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _mean(scores: Sequence[ConventionScores]) -> ConventionScores:
    frame = pd.DataFrame(scores, dtype="float64")
    return ConventionScores(*(float(frame[name].mean(skipna=False)) for name in ConventionScores._fields))
