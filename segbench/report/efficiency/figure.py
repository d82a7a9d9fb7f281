"""The figure of data efficiency: scores against numbers of training images, with bands over seeds and crossings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from segbench.report.efficiency.crossings import Crossing, Order
from segbench.report.efficiency.table import EfficiencyRow, EfficiencyTable, orders
from segbench.report.figures.canvas import canvas
from segbench.report.figures.captions import MOST_NETWORKS, spanned
from segbench.report.figures.learning_curves import draw_curve, name_ends
from segbench.report.figures.looks import looks
from segbench.report.figures.plot import Plot
from segbench.report.figures.style import INK, PAPER, finish, is_narrow, styled
from segbench.report.text import plural, short_id

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAME = "data-efficiency"
_ROOM, _END = 1.15, 1.04
"""How many times as far as the fewest and the most images the axis goes, for the marks there."""
_LEGEND_LINE = 0.3
"""Inches that a drawing for a narrow column grows by a network: its names stand below, not at the curves' ends."""


def efficiency_curves(table: EfficiencyTable) -> Plot:
    """Draw the score of each network against its training images, and where orders are told to turn round."""
    rows = table.rows[:MOST_NETWORKS]
    labels = [row.label for row in rows]
    curves = {row.label: _curve(row) for row in rows}
    crossings = [crossing for pair in orders(table, Order.TURNS) for crossing in pair.crossings]
    shown = [crossing for crossing in crossings if {crossing.fewer, crossing.more} <= set(labels)]
    with styled():
        below = _LEGEND_LINE * len(rows) if is_narrow() else 0.0
        figure, axes = canvas(8.6, max(4.4, 0.34 * len(rows)) + below)
        for label, look in zip(labels, looks(labels), strict=True):
            draw_curve(axes, curves[label], label, look)
        for crossing in shown:
            _mark(axes, crossing, curves[crossing.fewer])
        finish(axes, "Training images, log scale", f"{table.measure[0].upper()}{table.measure[1:]} (fraction)")
        _sizes(axes, table.sizes)
        if below:
            figure.legend(loc="outside lower center", frameon=False)
        else:
            name_ends(axes, curves)
            axes.set_xlim(right=table.sizes[-1] * _END)
    return Plot(NAME, "Scores from less data", _caption(table, rows, shown), figure, _alternative(rows))


def _curve(row: EfficiencyRow) -> pd.DataFrame:
    means = np.array([point.score for point in row.points])
    spread = np.array([np.nan if point.spread is None else point.spread for point in row.points])
    images = [point.images for point in row.points]
    return pd.DataFrame({"mean": means, "low": means - spread, "high": means + spread}, index=images)


def _sizes(axes: Axes, sizes: tuple[int, ...]) -> None:
    """Make the horizontal axis logarithmic, with a labelled tick at every number of images."""
    from matplotlib.ticker import NullFormatter, NullLocator

    axes.set_xscale("log")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlim(sizes[0] / _ROOM, sizes[-1] * _END)


def _mark(axes: Axes, crossing: Crossing, curve: pd.DataFrame) -> None:
    """Draw a ring where two curves cross, with the interval of the number of images as a bar."""
    height = float(np.interp(np.log(crossing.images), np.log(curve.index), curve["mean"]))
    assert crossing.interval is not None
    axes.plot(list(crossing.interval), [height, height], color=INK, linewidth=1.2, zorder=4)
    axes.plot([crossing.images], [height], "o", color=INK, markerfacecolor=PAPER, markersize=8, zorder=5)


def _caption(table: EfficiencyTable, rows: tuple[EfficiencyRow, ...], shown: list[Crossing]) -> str:
    seeds = spanned([point.seeds for row in rows for point in row.points], "seed")
    of = f" of {len(table.rows)}" if len(rows) < len(table.rows) else ""
    several = any(point.spread is not None for row in rows for point in row.points)
    bands = "Bands: ± one sample standard deviation over seeds." if several else "One seed: no bands."
    none = (
        f" No crossing is told: {table.no_intervals}."
        if table.no_intervals
        else " No crossing is told apart on both sides."
    )
    rings = " Rings: crossings that are told apart on both sides, with their 95 % intervals." if shown else none
    return (
        f"{table.name}: {table.measure} of {len(rows)}{of} {'network' if len(rows) == 1 else 'networks'} by number of "
        f"training images, mean over n = {seeds} each; smaller numbers are subsets of larger ones; "
        f"{plural(table.test_images, 'test image')}. {bands}{rings} Largest fraction: protocol {short_id(table.key)}."
    )


def _alternative(rows: tuple[EfficiencyRow, ...]) -> str:
    told = [
        f"{row.label}: {', '.join(f'{point.score:.3f} with {point.images}' for point in row.points)}" for row in rows
    ]
    return f"{'; '.join(told)}."
