"""Learning curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from segbench.report import chart
from segbench.report.figures.canvas import panels
from segbench.report.figures.captions import best, sample, scored_rows, spread_words
from segbench.report.figures.looks import Look, looks
from segbench.report.figures.plot import Plot
from segbench.report.figures.style import INK, finish, short_name, small, styled, whole_numbers
from segbench.report.figures.tradeoffs import MIOU

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_VALIDATED = "validation_mean_iou"
_LINE = 0.056
"""Height of a line of text as a share of the panel."""
_MEASURES = {"loss": "Training loss", _VALIDATED: f"Validation {MIOU[0].lower()}{MIOU[1:]}"}


def learning_curves(board: pd.DataFrame, histories: pd.DataFrame) -> Plot | None:
    """Draw training loss and, where there is one, validation mean IoU by epoch; None without histories."""
    known = scored_rows(board[board["model"].isin(histories["model"])])
    shown = best(known)
    measures = [name for name in _MEASURES if _numbers(histories, name).notna().any()]
    models = [str(model) for model in shown["model"]]
    if not measures or not models:
        return None
    found = {
        measure: {model: by_epoch(histories[histories["model"] == model], measure) for model in models}
        for measure in measures
    }
    with styled():
        figure, axes = panels(len(measures), max(3.9, 0.24 * len(models)), width=5.6 * len(measures))
        for panel, measure in zip(axes, measures, strict=True):
            draw_curves(panel, found[measure])
            finish(panel, "Epoch", _MEASURES[measure])
            whole_numbers(panel)
            name_ends(panel, found[measure])
    drawn = sample(shown, board, known=known, those="whose curve was kept")
    caption = f"Learning curves, mean over seeds. {drawn} {spread_words(shown, 'Bands')}"
    data = chart.curves([curves_panel(_MEASURES[measure], found[measure]) for measure in measures], x="Epoch")
    return Plot("learning-curves", "Learning curves", caption, figure, chart=data)


def by_epoch(curve: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Return the ``mean`` of a measure over the seeds of one network by epoch, with its ``low`` and ``high`` end."""
    values = pd.DataFrame({"epoch": _numbers(curve, "epoch"), "value": _numbers(curve, measure)}).dropna()
    grouped = values.groupby("epoch")["value"]
    mean, spread = grouped.mean(), grouped.std()
    return pd.DataFrame({"mean": mean, "low": mean - spread, "high": mean + spread})


def curves_panel(measure: str, found: dict[str, pd.DataFrame]) -> dict[str, Any]:
    """Return the curves of one measure as data, by network; see ``draw_curve``."""
    lines = []
    for (model, curve), look in zip(found.items(), looks(list(found)), strict=True):
        if len(curve):
            values = {"x": curve.index.tolist(), "y": curve["mean"].tolist()}
            values |= {name: curve[name].tolist() for name in ("low", "high") if curve[name].notna().any()}
            lines.append(chart.line(model, look, values))
    return {"y": measure, "lines": lines}


def draw_curves(axes: Axes, found: dict[str, pd.DataFrame]) -> None:
    """Draw the curves of one measure, by network; see ``draw_curve``."""
    for (model, curve), look in zip(found.items(), looks(list(found)), strict=True):
        draw_curve(axes, curve, model, look)


def draw_curve(axes: Axes, curve: pd.DataFrame, model: str, look: Look) -> None:
    """Draw a network's ``mean`` by the curve's index, with marks and a band from ``low`` to ``high`` if known."""
    markers: dict[str, Any] = {
        "marker": look.marker,
        "markersize": 5,
        "markeredgewidth": 0,
        "markevery": max(1, len(curve) // 12),
    }
    axes.plot(curve.index, curve["mean"], color=look.color, label=f" {short_name(model)}", **markers)
    if curve["low"].notna().any():
        axes.fill_between(curve.index, curve["low"], curve["high"], color=look.color, alpha=0.2, linewidth=0)


def name_ends(axes: Axes, found: dict[str, pd.DataFrame]) -> None:
    """Write each network's name at the end of its curve, one below the other where they would touch."""
    ends = [
        (float(curve["mean"].iloc[-1]), float(curve.index[-1]), model) for model, curve in found.items() if len(curve)
    ]
    if not ends:
        return
    low, high = axes.get_ylim()
    ends.sort()
    places = spread_out([value for value, _, _ in ends], gap=_LINE * (high - low), low=low, high=high)
    right = max(epoch for _, epoch, _ in ends)
    colors = {line.get_label(): line.get_color() for line in axes.get_lines()}
    for place, (value, epoch, model) in zip(places, ends, strict=True):
        axes.annotate(
            short_name(model),
            (epoch, value),
            (1.03, place),
            xycoords="data",
            textcoords=axes.get_yaxis_transform(),
            va="center",
            fontsize=small(),
            color=INK,
            arrowprops={
                "arrowstyle": "-",
                "color": colors[f" {short_name(model)}"],
                "linewidth": 0.7,
                "relpos": (0, 0.5),
            },
            annotation_clip=False,
        )
    axes.set_ylim(low, high)
    axes.set_xlim(right=right)


def spread_out(values: Sequence[float], *, gap: float, low: float, high: float) -> list[float]:
    """Return sorted values moved apart to keep a gap between neighbours, with the least movement.

    Where there is no room for all gaps, they are made smaller.
    """
    gap = min(gap, (high - low) / max(1, len(values) - 1))
    groups: list[list[float]] = []
    for value in values:
        groups.append([value])
        while len(groups) > 1 and _first(groups[-1], gap, low, high) < _first(groups[-2], gap, low, high) + gap * len(
            groups[-2]
        ):
            groups[-2:] = [groups[-2] + groups[-1]]
    return [_first(group, gap, low, high) + gap * index for group in groups for index in range(len(group))]


def _first(group: Sequence[float], gap: float, low: float, high: float) -> float:
    """Return the position of the lowest member of a group."""
    reach = gap * (len(group) - 1)
    return min(max(sum(group) / len(group) - reach / 2, low), high - reach)


def _numbers(frame: pd.DataFrame, name: str) -> pd.Series[float]:
    if name not in frame.columns:
        return pd.Series(np.nan, index=frame.index)
    return pd.to_numeric(frame[name], errors="coerce").replace([np.inf, -np.inf], np.nan)
