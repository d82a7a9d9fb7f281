"""Figures of a comparison, each with the caption and the alternative text that it is shown with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from segbench.report.captions import caption_accuracy, caption_classes, caption_learning, caption_throughput
from segbench.report.drawing import (
    Plot,
    canvas,
    colors,
    dashes,
    finish,
    legend_label,
    markers,
    panels,
    plain_numbers,
    save,
    styled,
    whole_epochs,
)
from segbench.report.text import printable
from segbench.results.record import Status

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "MOST_NETWORKS",
    "Plot",
    "accuracy_throughput",
    "class_iou",
    "class_scores",
    "learning_curves",
    "plots",
    "save",
]

MOST_NETWORKS = 20
"""Figures show at most so many networks, the best; their captions say so."""

_ANNOTATED_CLASSES = 12
_VALIDATED = "validation_mean_iou"
_MIOU = "Mean IoU (fraction)"


def plots(board: pd.DataFrame, runs: pd.DataFrame, histories: pd.DataFrame) -> list[Plot]:
    """Draw every figure of one table of a leaderboard that its rows allow.

    Args:
        board: The rows of ``leaderboard`` of one protocol and test data.
        runs: The rows of ``load_results`` that they come from.
        histories: Their learning curves, from ``load_histories``.
    """
    drawn = (accuracy_throughput(board), learning_curves(board, histories), class_scores(board, runs))
    return [plot for plot in drawn if plot is not None]


def accuracy_throughput(board: pd.DataFrame) -> Plot | None:
    """Draw mean IoU against images a second; None without such rows.

    Where speed was measured it is that, with the range of the restarts and the front of networks that no other one
    beats in both; elsewhere images a second in evaluation, with standard deviations.
    """
    measured = board["throughput_images_per_second"].notna().any()
    name = "throughput_images_per_second" if measured else "evaluation_images_per_second"
    shown = _shown(board[board[name].gt(0)])
    if shown.empty:
        return None
    speeds = shown[name]
    with styled():
        figure, axes = canvas(7.5, max(4.2, 0.24 * len(shown)))
        for (_, row), color, marker in zip(shown.iterrows(), colors(len(shown)), markers(len(shown)), strict=True):
            _draw_network(axes, row, name, color=color, marker=marker)
        if measured:
            _draw_front(axes, shown)
        if speeds.max() > 5 * speeds.min():
            axes.set_xscale("log")
            plain_numbers(axes)
        finish(
            axes, "Accuracy against throughput", f"Throughput{'' if measured else ' in evaluation'} (images/s)", _MIOU
        )
    caption = caption_throughput(shown, board) if measured else caption_accuracy(shown, board)
    return Plot("accuracy-throughput", "Accuracy against throughput", caption, figure)


def learning_curves(board: pd.DataFrame, histories: pd.DataFrame) -> Plot | None:
    """Draw training loss and, where there is one, validation mean IoU by epoch; None without histories."""
    shown = _shown(board)
    measures = [name for name in ("loss", _VALIDATED) if _numbers(histories, name).notna().any()]
    models = [model for model in shown["model"] if model in set(histories["model"])]
    if not measures or not models:
        return None
    words = {"loss": ("Training loss by epoch", "Training loss"), _VALIDATED: ("Validation mean IoU by epoch", _MIOU)}
    with styled():
        figure, axes = panels(len(measures), max(4.2, 0.24 * len(models)))
        for panel, measure in zip(axes, measures, strict=True):
            for model, color, dash in zip(models, colors(len(models)), dashes(len(models)), strict=True):
                _draw_curve(panel, histories[histories["model"] == model], measure, color=color, dash=dash)
            title, unit = words[measure]
            finish(panel, title, "Epoch", unit, legend=panel is axes[-1])
            whole_epochs(panel)
    return Plot("learning-curves", "Learning curves", caption_learning(shown, board), figure)


def class_scores(board: pd.DataFrame, runs: pd.DataFrame) -> Plot | None:
    """Draw the IoU of every class and network as a heat map; None without completed runs."""
    table = class_iou(runs).reindex(_shown(board)["model"])
    if table.empty or table.isna().all(axis=None):
        return None
    with styled():
        import seaborn as sns

        rows, columns = table.shape
        figure, axes = canvas(min(24.0, 3.4 + 0.5 * columns), 1.9 + 0.34 * rows)
        sns.heatmap(
            table.to_numpy(dtype=float),
            vmin=0,
            vmax=1,
            cmap="cividis",
            annot=columns <= _ANNOTATED_CLASSES,
            fmt=".2f",
            xticklabels=[printable(name) for name in table.columns],
            yticklabels=[printable(name) for name in table.index],
            cbar_kws={"label": "IoU (fraction)"},
            linewidths=0.5,
            ax=axes,
        )
        axes.set_facecolor("0.8")  # shows through where a class is in no label and no prediction
        axes.set(title="IoU by class", xlabel="Class", ylabel="Network")
        axes.tick_params(axis="x", rotation=90)
        axes.tick_params(axis="y", rotation=0)
    return Plot("class-iou", "IoU by class", caption_classes(_shown(board), board), figure)


def class_iou(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the mean IoU over seeds of every class (columns) and network (rows) among completed runs."""
    completed = runs[(runs["status"] == Status.COMPLETED) & runs["class_iou"].notna()]
    if completed.empty:
        return pd.DataFrame()
    columns = (completed[name] for name in ("model", "classes", "class_iou"))
    scores = [
        {"model": model, **dict(zip(_distinct(classes), iou, strict=True))}
        for model, classes, iou in zip(*columns, strict=True)
    ]
    return pd.DataFrame(scores).groupby("model", sort=False).mean()


def _draw_network(axes: Axes, row: pd.Series[Any], name: str, *, color: Any, marker: str) -> None:
    speed, accuracy = row[name], row["mean_iou"]
    axes.errorbar(
        speed,
        accuracy,
        xerr=_speed_bar(row, name),
        yerr=_spread(row, "mean_iou"),
        color=color,
        linestyle="none",
        capsize=3,
    )
    axes.plot(
        speed,
        accuracy,
        color=color,
        marker=marker,
        markersize=9,
        markerfacecolor="white" if row["pretrained"] == "pretrained" else color,
        markeredgecolor=color,
        markeredgewidth=1.6,
        linestyle="none",
        label=legend_label(row["model"]),
    )


def _speed_bar(row: pd.Series[Any], name: str) -> Any:
    """Return the bar of a speed: the range of its restarts, or the standard deviation over seeds."""
    if name == "evaluation_images_per_second":
        return _spread(row, name)
    return [[row[name] - row["throughput_low"]], [row["throughput_high"] - row[name]]]


def _draw_front(axes: Axes, shown: pd.DataFrame) -> None:
    """Draw the Pareto front as steps: what is below and to the left of it is beaten."""
    front = shown[shown["pareto"].fillna(value=False).astype(bool)].sort_values("throughput_images_per_second")
    speeds, scores = front["throughput_images_per_second"].tolist(), front["mean_iou"].tolist()
    axes.plot(speeds, scores, drawstyle="steps-pre", color="0.45", linewidth=1, zorder=0, label="Pareto front")


def _draw_curve(axes: Axes, curve: pd.DataFrame, measure: str, *, color: Any, dash: tuple[str, str]) -> None:
    import seaborn as sns

    values = curve.assign(epoch=_numbers(curve, "epoch"), value=_numbers(curve, measure))
    sns.lineplot(
        data=values.dropna(subset=["epoch", "value"]),
        x="epoch",
        y="value",
        errorbar="sd",
        color=color,
        linestyle=dash[0],
        marker=dash[1],
        markersize=5,
        markeredgewidth=0,
        ax=axes,
        legend=False,
        label=legend_label(curve["model"].iloc[0]),
    )


def _shown(board: pd.DataFrame) -> pd.DataFrame:
    return board[board["rank"].notna()].head(MOST_NETWORKS)


def _spread(row: pd.Series[Any], name: str) -> float | None:
    value = row[f"{name}_std"]
    return None if pd.isna(value) else float(value)


def _numbers(frame: pd.DataFrame, name: str) -> pd.Series[float]:
    if name not in frame.columns:
        return pd.Series(np.nan, index=frame.index)
    return pd.to_numeric(frame[name], errors="coerce").replace([np.inf, -np.inf], np.nan)


def _distinct(names: Sequence[str]) -> list[str]:
    """Return class names, numbered where two are equal or one is called like a column of ours."""
    distinct: list[str] = []
    for index, name in enumerate(names):
        distinct.append(f"{name} ({index})" if name in distinct or name == "model" else name)
    return distinct
