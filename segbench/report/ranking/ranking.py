"""Reads and ranks stored runs once, for all output formats."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from segbench.errors import StoreError
from segbench.report.ranking.caveats import caveats
from segbench.report.ranking.leaderboard import ranked
from segbench.report.ranking.missing_runs import missing_notes
from segbench.report.ranking.notes import Note
from segbench.report.runs.load import load_stored
from segbench.report.runs.network_identity import disambiguate_labels


@dataclass(frozen=True, eq=False)
class Ranking:
    """A leaderboard and its data.

    Attributes:
        runs: The rows of ``load_results``; labels of different networks are made unique.
        trials: The trials of tunings, which are not ranked.
        board: The rows of ``leaderboard``.
        pairs: All pairs of ranked networks, with the columns ``PAIRS`` of ``leaderboard``.
        notes: Which planned runs are missing, and caveats about comparing rows.
    """

    runs: pd.DataFrame
    trials: pd.DataFrame
    board: pd.DataFrame
    pairs: pd.DataFrame
    notes: list[Note]


def rank(*folders: str | Path) -> Ranking:
    """Read and rank the runs in results roots, suite folders or run folders.

    Raises:
        StoreError: A folder does not exist or holds no runs.
    """
    stored = load_stored(*folders)
    if stored.runs.empty and stored.trials.empty:
        raise StoreError(f"{', '.join(map(str, folders))}: there are no runs here; 'segbench run SUITE' writes some")
    runs = disambiguate_labels(stored.runs)
    found = ranked(runs)
    return Ranking(runs, stored.trials, found.board, found.pairs, [*missing_notes(runs), *caveats(runs)])
