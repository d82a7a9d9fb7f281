"""What each corruption costs each network, as a heat map."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from segbench.report import chart
from segbench.report.figures.canvas import canvas
from segbench.report.figures.plot import Plot
from segbench.report.figures.style import GRID, room_for, short_name, small, styled
from segbench.report.robustness.cells import condition_words
from segbench.report.robustness.rows import RobustnessRow, RobustnessTable, percent
from segbench.report.robustness.words import sample, shown_rows
from segbench.report.text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEAT_MAP = "robustness-heat-map"
_STEP = 0.1
"""The scale of colours ends at a multiple of this share."""
_UNKNOWN = "0.8"
_MIDDLE = 0.18
"""The luminance at which black and white text are read equally well."""


def heat_map(table: RobustnessTable) -> Plot | None:
    """Draw the share of the clean score that each corruption costs each network; None without corruptions."""
    rows = shown_rows(table)
    names = worst_first(rows, table.corruptions)
    if not names:
        return None
    lost = np.array([[row.lost(name) for row in rows] for name in names])
    with styled():
        figure = _drawn(lost, names, rows)
    caption = (
        "Share of the clean mean IoU that is lost under each corruption, in percent, mean over severities and seeds; "
        "the corruption that costs most stands at the top, the network that does best under corruption at the left. "
        f"{sample(table, rows)} The spread over seeds is not drawn."
    )
    return Plot(
        HEAT_MAP, "What each corruption costs", caption, figure, f"{caption} {_listed(rows)}", _data(names, rows)
    )


def worst_first(rows: Sequence[RobustnessRow], corruptions: Sequence[str]) -> list[str]:
    """Return corruptions by what they cost all networks together, most first."""
    return sorted(corruptions, key=lambda name: sum(row.by_corruption[name] for row in rows))


def _top(lost: Sequence[float]) -> float:
    """Return the share at which the scale of colours ends."""
    known = [value for value in lost if not math.isnan(value)]
    return max(_STEP, _STEP * math.ceil(max(known, default=0.0) / _STEP - 1e-9))


def _drawn(lost: np.ndarray, names: Sequence[str], rows: Sequence[RobustnessRow]) -> Figure:
    import seaborn as sns

    labels, networks = [condition_words(name) for name in names], [short_name(row.label) for row in rows]
    figure, axes = canvas(3.6 + 0.62 * len(networks) + room_for(labels), 1.5 + 0.34 * len(labels) + room_for(networks))
    sns.heatmap(
        100 * lost,
        vmin=0,
        vmax=100 * _top(lost.ravel().tolist()),
        cmap="cividis_r",
        annot=True,
        fmt=".0f",
        annot_kws={"in_layout": False, "fontsize": small("medium")},
        xticklabels=networks,
        yticklabels=labels,
        cbar_kws={"label": "Lost (% of the clean mean IoU)"},
        linewidths=0.5,
        linecolor=GRID,
        ax=axes,
    )
    axes.set_facecolor(_UNKNOWN)
    _write_in_contrast(axes, lost)
    axes.set_xticks(axes.get_xticks(), networks, rotation=35, ha="right", rotation_mode="anchor")
    axes.tick_params(axis="y", rotation=0)
    return figure


def _write_in_contrast(axes: Axes, lost: np.ndarray) -> None:
    """Write figures in black on the brighter colours, in white on the darker ones."""
    mesh = axes.collections[0]
    for text, color in zip(axes.texts, mesh.get_facecolors()[~np.isnan(lost).ravel()], strict=True):  # type: ignore[attr-defined]
        text.set_color("#000000" if _luminance(color) > _MIDDLE else "#ffffff")


def _luminance(color: Sequence[float]) -> float:
    """Return the relative luminance of a colour, as WCAG defines it."""
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in color[:3])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _data(names: Sequence[str], rows: Sequence[RobustnessRow]) -> Mapping[str, Any]:
    """Return the heat map as data, from which a page draws it."""
    top = _top([row.lost(name) for name in names for row in rows])
    return {
        "kind": "heat",
        "corner": "corruption",
        "columns": [printable(row.label) for row in rows],
        "rows": [{"name": condition_words(name), "cells": [_cell(row, name, top) for row in rows]} for name in names],
        "scale": ["lost: 0 %", percent(top)],
    }


def _cell(row: RobustnessRow, name: str, top: float) -> dict[str, Any]:
    lost = row.lost(name)
    return {
        "text": percent(lost),
        "share": chart.number(lost if math.isnan(lost) else min(1.0, max(0.0, lost / top))),
        "tip": [
            f"{printable(row.label)}, {condition_words(name)}",
            f"mean IoU {row.clean:.3f} → {row.by_corruption[name]:.3f}",
        ],
    }


def _listed(rows: Sequence[RobustnessRow]) -> str:
    """Return in words what each network loses at most."""
    parts = [
        f"{row.label}: {percent(row.relative_loss)} over all, {percent(row.lost(row.worst))} under "
        f"{condition_words(row.worst)}"
        for row in rows
        if row.worst is not None
    ]
    return f"{'; '.join(parts)}."
