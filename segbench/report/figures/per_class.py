"""Scores by class, and confusion matrices."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from segbench.report.figures.canvas import canvas, panels
from segbench.report.figures.captions import best, sample
from segbench.report.figures.plot import Plot
from segbench.report.figures.style import GRID, is_narrow, room_for, short_name, small, styled
from segbench.report.runs.class_iou import class_iou
from segbench.results.record import Status

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_MATRICES = 6
"""Number of networks with a confusion matrix, the best ones."""

_PAGE_INCHES = 12.9
"""The width of a page of 1240 pixels."""
_ANNOTATED_CLASSES = 12
_LABELLED_CLASSES = 40
_UNKNOWN = "0.8"
"""The colour of classes that are in no label and no prediction."""


def class_scores(board: pd.DataFrame, runs: pd.DataFrame) -> Plot | None:
    """Draw the IoU of every class and network as a heat map; None without completed runs."""
    shown = best(board)
    table = class_iou(runs).reindex(shown["model"])
    if table.empty or table.isna().all(axis=None):
        return None
    with styled():
        figure = _drawn_scores(table)
    spread = (shown["seeds"] > 1).any()
    caption = (
        f"IoU of each class on the test split, mean over seeds. {sample(shown, board)} "
        + ("The spread over seeds is not drawn. " if spread else "One seed: variation between trainings is not known. ")
        + "Grey: the class is in no label and no prediction."
    )
    return Plot("class-iou", "IoU by class", caption, figure, f"{caption} {_extremes(table)}")


def confusion_matrices(board: pd.DataFrame, runs: pd.DataFrame) -> Plot | None:
    """Draw the confusion matrices of the best networks, each row divided by its sum; None without completed runs."""
    shown = best(board, MOST_MATRICES)
    completed = runs[(runs["status"] == Status.COMPLETED) & runs["confusion"].notna()]
    matrices = {model: sum(group["confusion"]) for model, group in completed.groupby("model", sort=False)}
    drawn = {model: _shares(matrices[model]) for model in shown["model"] if model in matrices}
    if not drawn:
        return None
    first = completed[completed["model"] == next(iter(drawn))].iloc[0]
    with styled():
        figure = _drawn_matrices(drawn, [short_name(name) for name in first["classes"]])
    caption = (
        "Confusion matrices of the test split: of the pixels of each label (row), the share predicted as each class "
        f"(column), seeds added up; the diagonal is recall. {sample(shown, board)} Grey: no label holds the class."
    )
    return Plot("confusion", "Confusion matrices", caption, figure)


def _drawn_scores(table: pd.DataFrame) -> Figure:
    """Draw a table of scores: networks down, classes across."""
    import seaborn as sns

    rows, columns = table.shape
    networks, classes = ([short_name(name) for name in names] for names in (table.index, table.columns))
    width = min(24.0, 3.4 + 0.5 * columns) + room_for(networks)
    figure, axes = canvas(width, 1.9 + 0.34 * rows + room_for(classes))
    sns.heatmap(
        table.to_numpy(dtype=float),
        vmin=0,
        vmax=1,
        cmap="cividis",
        annot=columns <= _ANNOTATED_CLASSES,
        fmt=".2f",
        annot_kws={"in_layout": False, "fontsize": small("medium")},
        xticklabels=classes,
        yticklabels=networks,
        cbar_kws={"label": "IoU (fraction)"},
        linewidths=0.5,
        linecolor=GRID,
        ax=axes,
    )
    axes.set_facecolor(_UNKNOWN)
    axes.set(xlabel="Class", ylabel="Network")
    axes.tick_params(axis="x", rotation=90)
    axes.tick_params(axis="y", rotation=0)
    return figure


def _drawn_matrices(drawn: Mapping[str, np.ma.MaskedArray], names: list[str]) -> Figure:
    """Draw confusion matrices in rows, with the classes named at the outer edges."""
    room = room_for(names)
    columns, side = _squares(len(drawn), len(names), _PAGE_INCHES - 1.0 - room)
    rows = math.ceil(len(drawn) / columns)
    figure, axes = panels(columns, rows * side + 0.9 + room, rows=rows, width=columns * side + 1.0 + room)
    for number, (panel, (model, shares)) in enumerate(zip(axes, drawn.items(), strict=False)):
        image = panel.imshow(shares, cmap="cividis", vmin=0, vmax=1, interpolation="nearest")
        panel.set_facecolor(_UNKNOWN)
        panel.grid(visible=False)
        panel.set_title(short_name(model, most=14 if is_narrow() else round(side / 0.09)))
        _name_classes(panel, names, left=number % columns == 0, lowest=number >= len(drawn) - columns)
    for panel in axes[len(drawn) :]:
        panel.set_axis_off()
    figure.colorbar(image, ax=axes, label="Share of pixels", shrink=0.7)
    return figure


def _squares(matrices: int, classes: int, room: float) -> tuple[int, float]:
    """Return how many matrices stand in a row, and the inches that each takes, so that rows fill the room."""
    if is_narrow():
        return min(2, matrices), min(6.0, max(2.6, 0.28 * classes + 1.2))
    most = max(1, int(room / max(1.9, 0.14 * classes + 0.8)))
    columns = math.ceil(matrices / math.ceil(matrices / most))
    return columns, min(room / columns, max(2.6, 0.35 * classes + 1.2))


def _name_classes(panel: Axes, names: list[str], *, left: bool, lowest: bool) -> None:
    """Name the rows of a panel at the left and the columns of one that has no other below it."""
    ticks = list(range(len(names))) if len(names) <= _LABELLED_CLASSES else []
    shown = names if ticks else []
    panel.set_xticks(ticks, shown if lowest else [""] * len(ticks), rotation=90, fontsize=small())
    panel.set_yticks(ticks, shown if left else [""] * len(ticks), fontsize=small())
    if left:
        panel.set_ylabel("Label")
    if lowest:
        panel.set_xlabel("Prediction")


def _shares(matrix: np.ndarray) -> np.ma.MaskedArray:
    """Return each row divided by its sum; masked where that is 0."""
    total = matrix.sum(axis=1, keepdims=True)
    shares = np.divide(matrix, total, out=np.zeros(matrix.shape), where=total > 0)
    return np.ma.masked_array(shares, mask=np.broadcast_to(total == 0, matrix.shape))


def _extremes(table: pd.DataFrame) -> str:
    """Return in words which class each network finds best and worst."""
    parts = []
    for model, scores in table.iterrows():
        known = scores.dropna().astype(float)
        if len(known):
            parts.append(
                f"{model}: best {known.idxmax()} ({known.max():.2f}), worst {known.idxmin()} ({known.min():.2f})"
            )
    return "; ".join(parts) + "."
