"""Uncertainty of a ranking: confidence intervals of scores and paired differences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from segbench.metrics.trainings import Scope
from segbench.metrics.uncertainty import SIGNIFICANT
from segbench.report import chart
from segbench.report.figures.canvas import canvas
from segbench.report.figures.captions import best, sample, scored_rows
from segbench.report.figures.looks import looks
from segbench.report.figures.plot import Plot
from segbench.report.figures.style import GRID, finish, named_rows, room_for, short_name, small, styled
from segbench.report.figures.tradeoffs import MIOU
from segbench.report.text import is_absent

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def mean_iou_intervals(board: pd.DataFrame) -> Plot | None:
    """Draw the mean IoU of each network with its 95 % interval, a forest plot; None where fewer than two have one."""
    known = scored_rows(board[board["mean_iou_low"].notna()])
    shown = best(known)
    if len(shown) < 2:
        return None
    sides = [_place(row) for _, row in shown.iterrows()]
    with styled():
        figure, axes = canvas(7.0, 1.1 + 0.34 * len(shown))
        models = list(map(str, shown["model"]))
        for place, ((_, row), look) in enumerate(zip(shown.iterrows(), looks(models), strict=True)):
            ends = [row["mean_iou_low"], row["mean_iou_high"]]
            axes.plot(ends, [place, place], color=look.color, linewidth=3, alpha=0.6, solid_capstyle="butt")
            axes.plot(row["mean_iou"], place, color=look.color, marker=look.marker, markersize=8, linestyle="none")
        named_rows(axes, models)
        if any(sides):
            right = axes.twinx()
            right.set_ylim(axes.get_ylim())
            right.set_yticks(range(len(sides)), sides)
            right.tick_params(length=0)
            right.grid(visible=False)
        finish(axes, MIOU, "")
    leader = (
        ""
        if shown["rank_best"].isna().all()
        else (
            "At the right: the ranks that the comparisons leave open, and letters; networks that share one cannot be "
            "told apart. "
        )
    )
    caption = (
        f"Mean IoU of each network (mark) with its 95 % interval (bar), over {_over(shown)}. {leader}"
        f"{sample(shown, board, known=known, those='with an interval')}"
    )
    listed = "; ".join(
        f"{row['model']}: {row['mean_iou']:.3f}, {row['mean_iou_low']:.3f} to {row['mean_iou_high']:.3f}"
        + (f", {side}" if side else "")
        for (_, row), side in zip(shown.iterrows(), sides, strict=True)
    )
    return Plot(
        "mean-iou-intervals",
        "Mean IoU with 95 % intervals",
        caption,
        figure,
        f"Mean IoU of each network. {listed}.",
        _chart(shown, sides),
    )


def _place(row: pd.Series[Any]) -> str:
    """Return the rank interval and the group of a row; an empty string if it is not ranked."""
    first, last = row["rank_best"], row["rank_worst"]
    if is_absent(first):
        return ""
    ranks = f"rank {first}" if first == last else f"rank {first}-{last}"
    return ranks if is_absent(row["group"]) else f"{ranks} · {row['group']}"


def _chart(shown: pd.DataFrame, sides: list[str]) -> dict[str, Any]:
    """Return the same as data."""
    points = []
    given = zip(shown.iterrows(), looks(list(map(str, shown["model"]))), sides, strict=True)
    for place, ((_, row), look, side) in enumerate(given):
        ends = (row["mean_iou_low"], row["mean_iou_high"])
        tip = [f"mean IoU {row['mean_iou']:.3f}", f"95 % interval {ends[0]:.3f} to {ends[1]:.3f}", side]
        at = (row["mean_iou"], place)
        hollow = row["pretrained"] == "pretrained"
        points.append(chart.point(row["model"], look, at, tip=list(filter(None, tip)), across=ends, hollow=hollow))
    return chart.forest(points, x=MIOU, sides=sides)


def _over(shown: pd.DataFrame) -> str:
    """Return what the uncertainty of ranks and differences covers."""
    networks = shown["scope"].eq(Scope.NETWORKS).any()
    return "trainings and test images" if networks else "test images, of these weights"


def paired_differences(board: pd.DataFrame, pairs: pd.DataFrame) -> Plot | None:
    """Draw the difference of mean IoU of every two networks; None where it is known of none."""
    shown = best(board)
    models = list(shown["model"])
    differences, apart = _squares(models, pairs)
    if len(models) < 2 or np.isnan(differences).all():
        return None
    with styled():
        figure = _drawn_squares([short_name(name) for name in models], differences, apart)
    caption = (
        "Difference of mean IoU, column minus row, in percentage points, on the same images. In brackets: the two "
        f"cannot be told apart (Holm-adjusted p of {SIGNIFICANT:.2f} or more over {_over(shown)}). "
        f"{sample(shown, board)}"
    )
    return Plot("paired-differences", "Paired differences", caption, figure)


def _drawn_squares(names: list[str], differences: np.ndarray, apart: np.ndarray) -> Figure:
    """Draw the lower triangle of the difference matrix, with a colour scale that is symmetric about 0."""
    import seaborn as sns

    rows, columns = names[1:], names[:-1]
    lower = -differences[1:, :-1]  # column minus row: the better one's lead, above 0
    hidden = np.triu(np.ones(lower.shape, dtype=bool), k=1)
    lower = np.where(hidden, np.nan, lower)
    room = room_for(names)
    figure, axes = canvas(max(6.3, 2.6 + 0.6 * len(columns) + room), max(2.6, 1.6 + 0.36 * len(rows) + room))
    reach = 100 * (float(np.nanmax(np.abs(lower))) or 1.0)
    cells = zip(lower.ravel(), apart[1:, :-1].ravel(), strict=True)
    sns.heatmap(
        100 * lower,
        mask=hidden,
        vmin=-reach,
        vmax=reach,
        cmap="PuOr",
        annot=np.array([_cell(value, sure) for value, sure in cells]).reshape(lower.shape),
        fmt="",
        annot_kws={"fontsize": small(), "in_layout": False},
        xticklabels=columns,
        yticklabels=rows,
        cbar=False,  # the cells say it
        linewidths=0.5,
        linecolor=GRID,
        ax=axes,
    )
    axes.set(xlabel="", ylabel="")
    axes.grid(visible=False)
    axes.tick_params(axis="x", rotation=90)
    axes.tick_params(axis="y", rotation=0)
    return figure


def _squares(models: list[str], pairs: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return the matrix of differences, NaN on the diagonal, and which of them are significant."""
    place = {model: index for index, model in enumerate(models)}
    differences = np.full((len(models), len(models)), np.nan)
    apart = np.zeros(differences.shape, dtype=bool)
    for pair in pairs.itertuples():
        if pair.first in place and pair.second in place:
            row, column = place[str(pair.first)], place[str(pair.second)]
            differences[row, column], differences[column, row] = pair.difference, -float(pair.difference)  # type: ignore[arg-type]
            apart[row, column] = apart[column, row] = float(pair.p_value) < SIGNIFICANT  # type: ignore[arg-type]
    return differences, apart


def _cell(difference: float, sure: bool) -> str:
    if np.isnan(difference):
        return ""
    text = f"{100 * difference:+.1f}"
    return text if sure else f"({text})"
