"""Scores stored runs by the conventions of other tools."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from segbench.metrics.conventions import CONVENTIONS, ConventionScores, convention
from segbench.report.ranking.leaderboard import ranked
from segbench.report.runs.folds import matrices_of
from segbench.report.runs.network_identity import disambiguate_labels, drop_copies
from segbench.report.runs.protocols import comparisons
from segbench.results.record import Status

COLUMNS = ("protocol", "test_data", "rank", "model", "seeds", "convention", *ConventionScores._fields, "reason")


def rescored(runs: pd.DataFrame, names: Sequence[str] = tuple(CONVENTIONS)) -> pd.DataFrame:
    """Score all ranked networks by several conventions.

    Args:
        runs: Rows of ``load_results``.
        names: Conventions by name; all by default.

    Returns:
        One row per network and convention with the columns ``COLUMNS``, in the leaderboard's order. ``rank`` is that of
        the leaderboard. Scores are means over seeds, NaN if the tool prints NaN or no such score. If the mean IoU is
        not known, it is NaN and ``reason`` says why.

    Raises:
        UnknownNameError: There is no such convention.
        StoreError: A run's matrices cannot be read.
    """
    chosen = {name: convention(name) for name in names}
    scores: dict[tuple[Any, Any, str], dict[str, dict[str, Any]]] = {}
    runs = disambiguate_labels(runs)
    for protocol, test_data, group in comparisons(runs):
        completed = drop_copies(group[group["status"] == Status.COMPLETED])
        for model, seeds in completed.groupby("model", sort=False):
            stored = [matrices_of(run) for run in seeds.itertuples()]
            scores[protocol, test_data, str(model)] = {
                name: _mean([one.score(each.matrices, each.void_predicted) for each in stored])
                for name, one in chosen.items()
            }
    board = ranked(runs).board
    rows = [
        {**row[["protocol", "test_data", "rank", "model", "seeds"]].to_dict(), "convention": name, **found}
        for _, row in board[(board["status"] == Status.COMPLETED) & board["mean_iou"].notna()].iterrows()
        for name, found in scores[row["protocol"], row["test_data"], row["model"]].items()
    ]
    frame = pd.DataFrame(rows, columns=list(COLUMNS)).astype({"rank": "Int64"})
    return frame.astype(dict.fromkeys(ConventionScores._fields, "float64"))


def ranked_anew(scores: pd.DataFrame) -> pd.DataFrame:
    """Rank the rows of one convention by its mean IoU.

    Args:
        scores: The rows of ``rescored`` for one convention.

    Returns:
        The same rows, table by table. Rows without a known mean IoU come last, without a rank. Rows without a rank in
        the leaderboard get none.
    """
    tables = [_by_mean_iou(rows) for _, rows in scores.groupby(["protocol", "test_data"], sort=False, dropna=False)]
    return pd.concat(tables, ignore_index=True) if tables else scores


def _by_mean_iou(rows: pd.DataFrame) -> pd.DataFrame:
    ranks = rows["mean_iou"].rank(method="min", ascending=False).astype("Int64")
    ordered = rows.assign(rank=ranks.mask(rows["rank"].isna()))
    return ordered.sort_values("mean_iou", ascending=False, kind="stable", na_position="last")


def _mean(scores: Sequence[ConventionScores]) -> dict[str, Any]:
    """Return the means over seeds, and the reason if the mean IoU is not known."""
    frame = pd.DataFrame(scores, columns=list(ConventionScores._fields), dtype="float64")
    unknown = sum(one.mean_iou is None for one in scores)
    means = {name: float(frame[name].mean(skipna=False)) for name in ConventionScores._fields}
    return {**means, "reason": _why_unknown(unknown, len(scores)) if unknown else None}


def _why_unknown(unknown: int, seeds: int) -> str:
    where = f" in {unknown} of {seeds} seeds" if unknown < seeds else ""
    return f"what was predicted on void pixels was not counted{where}"
