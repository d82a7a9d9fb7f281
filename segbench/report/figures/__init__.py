"""Figures of a comparison, each with the caption and the alternative text that it is shown with."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pandas as pd

from segbench.report.figures.calibration import reliability
from segbench.report.figures.intervals import mean_iou_intervals, paired_differences
from segbench.report.figures.learning_curves import learning_curves
from segbench.report.figures.per_class import class_scores, confusion_matrices
from segbench.report.figures.plot import Plot
from segbench.report.figures.predictions import picture_grid
from segbench.report.figures.speed import latency_distributions, memory
from segbench.report.figures.tradeoffs import accuracy_parameters, accuracy_throughput

__all__ = [
    "DRAWINGS",
    "accuracy_parameters",
    "accuracy_throughput",
    "class_scores",
    "confusion_matrices",
    "latency_distributions",
    "learning_curves",
    "mean_iou_intervals",
    "memory",
    "paired_differences",
    "picture_grid",
    "plots",
    "reliability",
]


Draw = Callable[[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame], Plot | None]
"""Draws a figure from leaderboard, runs, learning curves and pairs; None without data for it."""

DRAWINGS: dict[str, Draw] = {
    "accuracy-throughput": lambda board, runs, histories, pairs: accuracy_throughput(board),
    "accuracy-parameters": lambda board, runs, histories, pairs: accuracy_parameters(board),
    "mean-iou-intervals": lambda board, runs, histories, pairs: mean_iou_intervals(board),
    "paired-differences": lambda board, runs, histories, pairs: paired_differences(board, pairs),
    "class-iou": lambda board, runs, histories, pairs: class_scores(board, runs),
    "confusion": lambda board, runs, histories, pairs: confusion_matrices(board, runs),
    "pictures": lambda board, runs, histories, pairs: picture_grid(board, runs),
    "learning-curves": lambda board, runs, histories, pairs: learning_curves(board, histories),
    "reliability": lambda board, runs, histories, pairs: reliability(board, runs),
    "latency": lambda board, runs, histories, pairs: latency_distributions(board, runs),
    "memory": lambda board, runs, histories, pairs: memory(board),
}
"""Every figure by its name, in the order of a report."""


def plots(board: pd.DataFrame, runs: pd.DataFrame, histories: pd.DataFrame, pairs: pd.DataFrame) -> Iterator[Plot]:
    """Draw every figure of one table of a leaderboard that its rows allow, one at a time: drawings are large.

    Args:
        board: The rows of ``leaderboard`` of one protocol and test data.
        runs: The rows of ``load_results`` that they come from.
        histories: Their learning curves, from ``load_histories``.
        pairs: Their pairs, from ``Ranking.pairs``.
    """
    for draw in DRAWINGS.values():
        plot = draw(board, runs, histories, pairs)
        if plot is not None:
            yield plot
