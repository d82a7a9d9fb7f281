"""Stored runs, read and ranked once: what every form of a leaderboard shows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from segbench.errors import StoreError
from segbench.report.ranking.caveat import Caveat
from segbench.report.ranking.caveats import caveats
from segbench.report.ranking.leaderboard import ranked
from segbench.report.runs.load import load_stored
from segbench.report.runs.network_identity import disambiguate_labels


@dataclass(frozen=True, eq=False)
class Ranking:
    """A leaderboard and what it was made of.

    Attributes:
        runs: The rows of ``load_results``, different networks of one label told apart.
        trials: The trials of tunings, which are not ranked.
        board: The rows of ``leaderboard``.
        pairs: What is known of every pair of ranked networks, with the columns ``PAIRS`` of ``leaderboard``.
        notes: What a reader must know before comparing rows.
    """

    runs: pd.DataFrame
    trials: pd.DataFrame
    board: pd.DataFrame
    pairs: pd.DataFrame
    notes: list[Caveat]


def rank(*folders: str | Path) -> Ranking:
    """Read and rank the runs in results roots, suites' folders or runs' folders.

    Raises:
        StoreError: A folder does not exist or holds no runs.
    """
    stored = load_stored(*folders)
    if stored.runs.empty and stored.trials.empty:
        raise StoreError(f"{', '.join(map(str, folders))}: there are no runs here; 'segbench run SUITE' writes some")
    runs = disambiguate_labels(stored.runs)
    found = ranked(runs)
    return Ranking(runs, stored.trials, found.board, found.pairs, caveats(runs))
