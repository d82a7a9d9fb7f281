"""Figures of a comparison, each with the caption and the alternative text that it is shown with."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pandas as pd

from segbench.report.drawing import Plot
from segbench.report.figures.accuracy import accuracy_parameters, accuracy_throughput
from segbench.report.figures.certainty import paired_differences, rank_intervals
from segbench.report.figures.classes import class_iou, class_scores, confusion_matrices
from segbench.report.figures.learning import learning_curves
from segbench.report.figures.pictures import picture_grid
from segbench.report.figures.speed import latency_distributions, memory

__all__ = [
    "accuracy_parameters",
    "accuracy_throughput",
    "class_iou",
    "class_scores",
    "confusion_matrices",
    "latency_distributions",
    "learning_curves",
    "memory",
    "paired_differences",
    "picture_grid",
    "plots",
    "rank_intervals",
]


def plots(board: pd.DataFrame, runs: pd.DataFrame, histories: pd.DataFrame, pairs: pd.DataFrame) -> Iterator[Plot]:
    """Draw every figure of one table of a leaderboard that its rows allow, one at a time: drawings are large.

    Args:
        board: The rows of ``leaderboard`` of one protocol and test data.
        runs: The rows of ``load_results`` that they come from.
        histories: Their learning curves, from ``load_histories``.
        pairs: Their pairs, from ``Ranking.pairs``.
    """
    drawings: tuple[Callable[[], Plot | None], ...] = (
        lambda: accuracy_throughput(board),
        lambda: accuracy_parameters(board),
        lambda: rank_intervals(board),
        lambda: paired_differences(board, pairs),
        lambda: class_scores(board, runs),
        lambda: confusion_matrices(board, runs),
        lambda: picture_grid(board, runs),
        lambda: learning_curves(board, histories),
        lambda: latency_distributions(board, runs),
        lambda: memory(board),
    )
    for draw in drawings:
        plot = draw()
        if plot is not None:
            yield plot
