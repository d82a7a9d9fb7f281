"""Accuracy against what it costs: throughput and parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from segbench.report import text
from segbench.report.figures.canvas import canvas
from segbench.report.figures.captions import (
    accuracy_bar,
    accuracy_bar_words,
    best,
    sample,
    scored_rows,
    spanned,
    spread_words,
    standard_deviation,
)
from segbench.report.figures.plot import Plot
from segbench.report.figures.style import (
    PAPER,
    colors,
    engineering_numbers,
    finish,
    legend_label,
    markers,
    plain_numbers,
    styled,
)
from segbench.report.ranking.speed_columns import pareto_front

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MIOU = "Mean IoU (fraction)"
_MEASURED, _EVALUATED = "throughput_images_per_second", "evaluation_images_per_second"
_WIDE = 5
"""A horizontal axis that spans more than so many times its smallest value is logarithmic."""


def accuracy_throughput(board: pd.DataFrame) -> Plot | None:
    """Draw mean IoU against images a second; None without such rows.

    Where speed was measured it is that, with the range of the restarts and the front of networks that no other one
    beats in both; elsewhere images a second in evaluation, with standard deviations, of rows whose runs had their
    device for themselves.
    """
    measured = board[_MEASURED].notna().any()
    name = _MEASURED if measured else _EVALUATED
    given = board if measured else board[~board["runs_at_once"].gt(1).fillna(value=False)]
    known = scored_rows(given[given[name].gt(0)])
    shown = best(known)
    if shown.empty:
        return None
    with styled():
        axes = _scatter(shown, name)
        if measured:
            _draw_front(axes, shown[shown["pareto"].fillna(value=False).astype(bool)], name, drawstyle="steps-pre")
        if _is_wide(shown[name]):
            axes.set_xscale("log")
            plain_numbers(axes)
        unit = f"Throughput{'' if measured else ' in evaluation'} (images/s)"
        finish(axes, "Accuracy against throughput", unit, MIOU)
    drawn = sample(shown, board, known=known, those=f"whose speed {'' if measured else 'in evaluation '}was measured")
    caption = _caption_measured(shown, drawn) if measured else _caption_evaluated(shown, drawn)
    points = _points(shown, lambda row: f"{text.rate(row[name])} images/s")
    return Plot("accuracy-throughput", "Accuracy against throughput", caption, axes.get_figure(root=True), points)  # type: ignore[arg-type]


def accuracy_parameters(board: pd.DataFrame) -> Plot | None:
    """Draw mean IoU against learned parameters, with the front of networks that no other one beats in both."""
    known = scored_rows(board[board["parameters"].gt(0)])
    shown = best(known)
    if shown.empty:
        return None
    with styled():
        axes = _scatter(shown, "parameters")
        fewer = [-float(number) for number in shown["parameters"]]
        front = shown[[bool(on) for on in pareto_front(shown["mean_iou"].tolist(), fewer)]]
        _draw_front(axes, front, "parameters", drawstyle="steps-post")
        if _is_wide(shown["parameters"].astype(float)):
            axes.set_xscale("log")
        engineering_numbers(axes, "")
        finish(axes, "Accuracy against size", "Learned parameters", MIOU)
    caption = (
        f"Mean IoU against learned parameters. {sample(shown, board, known=known, those='with learned parameters')} "
        f"Hollow marks: pretrained weights. Grey line: networks that no other one beats in both. "
        f"{accuracy_bar_words(shown)}"
    )
    points = _points(shown, lambda row: f"{text.count(row['parameters'])} parameters")
    return Plot("accuracy-parameters", "Accuracy against size", caption, axes.get_figure(root=True), points)  # type: ignore[arg-type]


def _scatter(shown: pd.DataFrame, name: str) -> Axes:
    _, axes = canvas(7.5, max(4.2, 0.24 * len(shown)))
    for (_, row), color, marker in zip(shown.iterrows(), colors(len(shown)), markers(len(shown)), strict=True):
        _draw_network(axes, row, name, color=color, marker=marker)
    return axes


def _draw_network(axes: Axes, row: pd.Series[Any], name: str, *, color: Any, marker: str) -> None:
    across, accuracy = float(row[name]), float(row["mean_iou"])
    axes.errorbar(
        across,
        accuracy,
        xerr=_bar_across(row, name),
        yerr=accuracy_bar(row),
        color=color,
        linestyle="none",
        capsize=3,
    )
    axes.plot(
        across,
        accuracy,
        color=color,
        marker=marker,
        markersize=9,
        markerfacecolor=PAPER if row["pretrained"] == "pretrained" else color,
        markeredgecolor=color,
        markeredgewidth=1.6,
        linestyle="none",
        label=legend_label(row["model"]),
    )


def _bar_across(row: pd.Series[Any], name: str) -> Any:
    """Return the bar of a speed: the range of its restarts, or the standard deviation over seeds."""
    if name == _MEASURED:
        return [[max(0.0, row[name] - row["throughput_low"])], [max(0.0, row["throughput_high"] - row[name])]]
    return standard_deviation(row, name) if name == _EVALUATED else None


def _draw_front(axes: Axes, front: pd.DataFrame, name: str, *, drawstyle: Any) -> None:
    """Draw the networks that none beats in both as steps: what lies below is beaten."""
    front = front.sort_values(name)
    across, accuracy = front[name].astype(float).tolist(), front["mean_iou"].tolist()
    axes.plot(across, accuracy, drawstyle=drawstyle, color="0.55", linewidth=1, zorder=0, label="Pareto front")


def _is_wide(values: pd.Series[float]) -> bool:
    return bool(values.max() > _WIDE * values.min())


def _caption_evaluated(shown: pd.DataFrame, drawn: str) -> str:
    across = f" {spread_words(shown, 'Horizontal bars')}" if (shown["seeds"] > 1).any() else ""
    return (
        f"Mean IoU against images a second in evaluation, data loading included. {drawn} "
        f"Hollow marks: pretrained weights. {accuracy_bar_words(shown)}{across}"
    )


def _caption_measured(shown: pd.DataFrame, drawn: str) -> str:
    processes = spanned(shown["speed_restarts"], "process", "processes")
    return (
        f"Mean IoU against measured throughput ({shown['speed_situation'].iloc[0]}; the fastest batch measured; median "
        f"of {processes}, horizontal bars: their range). {drawn} Hollow marks: "
        "pretrained weights. Grey line: the Pareto front, networks that no other one beats in both. "
        f"{accuracy_bar_words(shown)}"
    )


def _points(shown: pd.DataFrame, across: Any) -> str:
    """Return what a reader of the drawing sees, in words."""
    listed = "; ".join(f"{row['model']}: {row['mean_iou']:.3f} at {across(row)}" for _, row in shown.iterrows())
    return f"Mean IoU of each network. {listed}."
