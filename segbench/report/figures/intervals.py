"""How sure a ranking is: intervals of ranks, and differences of pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from segbench.metrics.trainings import Scope
from segbench.metrics.uncertainty import SIGNIFICANT
from segbench.report.figures.canvas import canvas
from segbench.report.figures.captions import best, sample, scored_rows
from segbench.report.figures.plot import Plot
from segbench.report.figures.style import GRID, colors, markers, named_rows, room_for, short_name, styled, whole_numbers

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def rank_intervals(board: pd.DataFrame) -> Plot | None:
    """Draw the rank of each network with its 95 % interval; None where no interval is known."""
    known = scored_rows(board[board["rank_best"].notna()])
    shown = best(known)
    if len(shown) < 2:
        return None
    with styled():
        figure, axes = canvas(7.5, 1.6 + 0.32 * len(shown))
        looks = zip(colors(len(shown)), markers(len(shown)), strict=True)
        for place, ((_, row), (color, marker)) in enumerate(zip(shown.iterrows(), looks, strict=True)):
            axes.plot([row["rank_best"], row["rank_worst"]], [place, place], color=color, linewidth=3, alpha=0.6)
            axes.plot(row["rank"], place, color=color, marker=marker, markersize=8, linestyle="none")
        named_rows(axes, [f"{row['model']}  {row['group'] or ''}" for _, row in shown.iterrows()])
        axes.set(title="Ranks that cannot be excluded (95 %)", xlabel="Rank by mean IoU")
        axes.set_xlim(0.5, max(int(shown["rank_worst"].max()), int(shown["rank"].max())) + 0.5)
        whole_numbers(axes)
    caption = (
        f"Rank of each network (mark) and the ranks that its comparisons leave open (line), all together right in 95 % "
        f"of tables, over {_over(shown)}. "
        f"{sample(shown, board, known=known, those='with an interval')} Letters behind the names: networks that share "
        "one cannot be told apart."
    )
    listed = "; ".join(
        f"{row['model']}: rank {row['rank']}, {row['rank_best']} to {row['rank_worst']}" for _, row in shown.iterrows()
    )
    return Plot("rank-intervals", "Rank intervals", caption, figure, f"Rank of each network. {listed}.")


def _over(shown: pd.DataFrame) -> str:
    """Return over what ranks and differences are sure."""
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
        "Difference of mean IoU, row minus column, in percentage points, on the same images. In brackets: the two "
        f"cannot be told apart (Holm-adjusted p of {SIGNIFICANT:.2f} or more over {_over(shown)}). "
        f"{sample(shown, board)}"
    )
    return Plot("paired-differences", "Paired differences", caption, figure)


def _drawn_squares(names: list[str], differences: np.ndarray, apart: np.ndarray) -> Figure:
    """Draw a matrix of differences, its colours even to both sides of 0."""
    import seaborn as sns

    size = 2.6 + 0.62 * len(names) + room_for(names)
    figure, axes = canvas(size + 1.6, size)
    reach = 100 * (float(np.nanmax(np.abs(differences))) or 1.0)
    cells = zip(differences.ravel(), apart.ravel(), strict=True)
    sns.heatmap(
        100 * differences,
        vmin=-reach,
        vmax=reach,
        cmap="PuOr",
        annot=np.array([_cell(value, sure) for value, sure in cells]).reshape(differences.shape),
        fmt="",
        annot_kws={"fontsize": "small", "in_layout": False},
        xticklabels=names,
        yticklabels=names,
        cbar_kws={"label": "Difference of mean IoU (percentage points)", "shrink": 0.8},
        linewidths=0.5,
        linecolor=GRID,
        square=True,
        ax=axes,
    )
    axes.set_facecolor("0.8")
    axes.set(title="Row minus column: mean IoU", xlabel="", ylabel="")
    axes.tick_params(axis="x", rotation=90)
    axes.tick_params(axis="y", rotation=0)
    return figure


def _squares(models: list[str], pairs: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return the differences of all pairs, NaN on the diagonal, and which of them tell two networks apart."""
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
