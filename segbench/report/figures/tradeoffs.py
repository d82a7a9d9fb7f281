"""Accuracy against what it costs: throughput and parameters."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pandas as pd

from segbench.report import chart, text
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
from segbench.report.figures.looks import Line, Look, looks, name_points
from segbench.report.figures.plot import Plot
from segbench.report.figures.style import PAPER, engineering_numbers, finish, legend_label, logarithmic, styled
from segbench.report.ranking.speed_columns import pareto_front

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MIOU = "Mean IoU (fraction)"
_MEASURED, _EVALUATED = "throughput_images_per_second", "evaluation_images_per_second"
_WIDE = 5
"""An axis whose largest value exceeds the smallest by this factor is logarithmic."""


def accuracy_throughput(board: pd.DataFrame) -> Plot | None:
    """Draw mean IoU against images a second; None without such rows.

    Where speed was measured it is that, with the range of the restarts and the front of networks that no other one
    beats in both; elsewhere images a second in evaluation, with standard deviations, of rows whose runs had their
    device for themselves, unless that is one network alone of several.
    """
    measured = board[_MEASURED].notna().any()
    name = _MEASURED if measured else _EVALUATED
    given = board if measured else board[~board["runs_at_once"].gt(1).fillna(value=False)]
    known = scored_rows(given[given[name].gt(0)])
    shown = best(known)
    if shown.empty or (not measured and len(shown) == 1 < len(board)):
        return None
    unit = f"Throughput{'' if measured else ' in evaluation'} (images/s)"
    front = shown[shown["pareto"].fillna(value=False).astype(bool)] if measured else shown.head(0)
    with styled():
        axes = _scatter(shown, name)
        if measured:
            _draw_front(axes, front, name, drawstyle="steps-pre")
        finish(axes, unit, MIOU)
        if _is_wide(shown[name]):
            logarithmic(axes)
        _name(axes, shown, name, _steps(front, name, step=-1))
    drawn = sample(shown, board, known=known, those=f"whose speed {'' if measured else 'in evaluation '}was measured")
    caption = _caption_measured(shown, drawn) if measured else _caption_evaluated(shown, drawn)
    return Plot(
        "accuracy-throughput",
        "Accuracy against throughput",
        caption,
        axes.get_figure(root=True),  # type: ignore[arg-type]
        _points(shown, lambda row: f"{text.rate(row[name])} images/s"),
        _chart(shown, name, front, unit, lambda row: f"{text.rate(row[name])} images/s"),
    )


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
        finish(axes, "Learned parameters", MIOU)
        if _is_wide(shown["parameters"].astype(float)):
            logarithmic(axes, unit="")
        else:
            engineering_numbers(axes, "")
        _name(axes, shown, "parameters", _steps(front, "parameters", step=1))
    caption = (
        f"Mean IoU against learned parameters. {sample(shown, board, known=known, those='with learned parameters')} "
        f"{_hollow(shown)}Grey line: networks that no other one beats in both accuracy and size. "
        f"{accuracy_bar_words(shown)}"
    )
    return Plot(
        "accuracy-parameters",
        "Accuracy against size",
        caption,
        axes.get_figure(root=True),  # type: ignore[arg-type]
        _points(shown, lambda row: f"{text.count(row['parameters'])} parameters"),
        _chart(
            shown, "parameters", front, "Learned parameters", lambda row: f"{text.count(row['parameters'])} parameters"
        ),
    )


def _scatter(shown: pd.DataFrame, name: str) -> Axes:
    _, axes = canvas(7.0, max(4.4, 0.24 * len(shown)))
    for (_, row), look in zip(shown.iterrows(), looks(list(shown["model"])), strict=True):
        _draw_network(axes, row, name, look)
    return axes


def _name(axes: Axes, shown: pd.DataFrame, name: str, front: list[Line]) -> None:
    """Write the networks' names at their points."""
    axes.margins(x=0.12)
    points = list(zip(shown[name].astype(float), shown["mean_iou"], strict=True))
    name_points(axes, list(map(str, shown["model"])), points, [*front, *_intervals(shown, name)])


def _steps(front: pd.DataFrame, name: str, *, step: int) -> list[Line]:
    """Return the lines of the Pareto front; a step goes across first where ``step`` is 1, else up or down first."""
    front = front.sort_values(name)
    corners = list(zip(front[name].astype(float), front["mean_iou"].astype(float), strict=True))
    lines: list[Line] = []
    for (left, before), (right, after) in pairwise(corners):
        middle = (right, before) if step > 0 else (left, after)
        lines += [((left, before), middle), (middle, (right, after))]
    return lines


def _intervals(shown: pd.DataFrame, name: str) -> Iterator[Line]:
    """Yield the bars of each network."""
    for _, row in shown.iterrows():
        x, y = float(row[name]), float(row["mean_iou"])
        if across := _ends(x, _bar_across(row, name)):
            yield (across[0], y), (across[1], y)
        if up := _ends(y, accuracy_bar(row)):
            yield (x, up[0]), (x, up[1])


def _chart(shown: pd.DataFrame, name: str, front: pd.DataFrame, unit: str, across: Any) -> dict[str, Any]:
    """Return the same as data."""
    points = []
    for (_, row), look in zip(shown.iterrows(), looks(list(shown["model"])), strict=True):
        up, sides = accuracy_bar(row), _bar_across(row, name)
        tip = [f"mean IoU {_with_interval(row)}", across(row)]
        points.append(
            chart.point(
                row["model"],
                look,
                (row[name], row["mean_iou"]),
                tip=tip,
                across=_ends(row[name], sides),
                up=_ends(row["mean_iou"], up),
                hollow=row["pretrained"] == "pretrained",
            )
        )
    front = front.sort_values(name)
    corners = list(zip(front[name].astype(float), front["mean_iou"], strict=True))
    return chart.scatter(
        points,
        x=unit,
        y=MIOU,
        log=_is_wide(shown[name].astype(float)),
        front=corners,
        step=1 if name == "parameters" else -1,
    )


def _with_interval(row: pd.Series[Any]) -> str:
    low, high = row["mean_iou_low"], row["mean_iou_high"]
    return f"{row['mean_iou']:.3f}" + ("" if text.is_absent(low) else f" ({low:.3f} to {high:.3f})")


def _ends(value: Any, bar: Any) -> tuple[float, float] | None:
    """Return both ends of a bar as matplotlib takes it."""
    if bar is None:
        return None
    below, above = (bar[0][0], bar[1][0]) if isinstance(bar, list) else (bar, bar)
    return float(value) - float(below), float(value) + float(above)


def _draw_network(axes: Axes, row: pd.Series[Any], name: str, look: Look) -> None:
    across, accuracy = float(row[name]), float(row["mean_iou"])
    axes.errorbar(
        across,
        accuracy,
        xerr=_bar_across(row, name),
        yerr=accuracy_bar(row),
        color=look.color,
        linestyle="none",
        linewidth=1.2,
        alpha=0.6,
    )
    axes.plot(
        across,
        accuracy,
        color=look.color,
        marker=look.marker,
        markersize=9,
        markerfacecolor=PAPER if row["pretrained"] == "pretrained" else look.color,
        markeredgecolor=look.color,
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
    """Draw the Pareto front as steps."""
    front = front.sort_values(name)
    across, accuracy = front[name].astype(float).tolist(), front["mean_iou"].tolist()
    axes.plot(across, accuracy, drawstyle=drawstyle, color="0.55", linewidth=1, zorder=0, label="Pareto front")


def _is_wide(values: pd.Series[float]) -> bool:
    return bool(values.max() > _WIDE * values.min())


def _caption_evaluated(shown: pd.DataFrame, drawn: str) -> str:
    across = f" {spread_words(shown, 'Horizontal bars')}" if (shown["seeds"] > 1).any() else ""
    return (
        f"Mean IoU against images a second in evaluation, data loading included. {drawn} "
        f"{_hollow(shown)}{accuracy_bar_words(shown)}{across}"
    )


def _caption_measured(shown: pd.DataFrame, drawn: str) -> str:
    processes = spanned(shown["speed_restarts"], "process", "processes")
    return (
        f"Mean IoU against measured throughput ({shown['speed_situation'].iloc[0]}; the fastest batch measured; median "
        f"of {processes}, horizontal bars: their range). {drawn} {_hollow(shown)}"
        "Grey line: the Pareto front, networks that no other one beats in both accuracy and speed. "
        f"{accuracy_bar_words(shown)}"
    )


def _hollow(shown: pd.DataFrame) -> str:
    """Return what hollow marks are; nothing where there is none."""
    return "Hollow marks: pretrained weights. " if (shown["pretrained"] == "pretrained").any() else ""


def _points(shown: pd.DataFrame, across: Any) -> str:
    """Return what a reader of the drawing sees, in words."""
    listed = "; ".join(f"{row['model']}: {row['mean_iou']:.3f} at {across(row)}" for _, row in shown.iterrows())
    return f"Mean IoU of each network. {listed}."
