"""What tuning changed: each network by the identical recipe and by its tuned one."""

from __future__ import annotations

from typing import Any

import pandas as pd

from segbench.report import chart
from segbench.report.figures.canvas import canvas
from segbench.report.figures.learning_curves import spread_out
from segbench.report.figures.looks import Look, looks
from segbench.report.figures.plot import Plot
from segbench.report.figures.style import INK, short_name, small, styled
from segbench.report.figures.tradeoffs import MIOU
from segbench.report.text import is_absent, plural, short_id

_ROOM = 0.055
"""Height of a line of text as a share of the axis."""
_ENDS = ("identical recipe", "tuned")
_LONGEST = 26
"""Longest name in characters."""
_INCHES, _INCHES_A_SIGN = 5.6, 0.072
"""Width of the panel and of a character."""


def tuning_slopes(both: pd.DataFrame, protocols: tuple[str, str]) -> Plot:
    """Draw the test mean IoU of each network before and after its tuning as a line between two columns.

    Args:
        both: One row a network: ``first`` its name, ``first_value`` by the identical recipe, ``second_value`` tuned,
            ``difference`` and, where they are known, the ends ``low`` and ``high`` of its 95 % interval.
        protocols: The ids of the identical recipe and of the tuned one.
    """
    rows = both.sort_values("second_value", ascending=False, kind="stable")
    models = list(map(str, rows["first"]))
    with styled():
        figure, axes = canvas(7.0, max(3.6, 0.5 + 0.42 * len(models)))
        for (_, row), look in zip(rows.iterrows(), looks(models), strict=True):
            ends = [row["first_value"], row["second_value"]]
            axes.plot([0, 1], ends, color=look.color, marker=look.marker, markersize=8, linewidth=2)
        _name_side(axes, rows, "first_value", at=0)
        _name_side(axes, rows, "second_value", at=1)
        axes.set_xlim(*_reach(models))
        axes.set_xticks([0, 1], _ENDS)
        axes.grid(visible=False, axis="x")
        axes.set_ylabel(MIOU)
    lines = [_line(row, look) for (_, row), look in zip(rows.iterrows(), looks(models), strict=True)]
    data = chart.slopes(lines, ends=_ENDS)
    caption = (
        f"Test mean IoU of {plural(len(models), 'network')} by the identical recipe (protocol "
        f"{short_id(protocols[0])}) and tuned (protocol {short_id(protocols[1])}), means over seeds; the difference "
        "stands behind the name. Its interval is in the table of both protocols."
    )
    listed = "; ".join(
        f"{row['first']}: {row['first_value']:.3f} to {row['second_value']:.3f}" for _, row in rows.iterrows()
    )
    return Plot("tuning", "What tuning changed", caption, figure, f"{listed}.", data)


def _line(row: pd.Series[Any], look: Look) -> dict[str, Any]:
    """Return the line of one network as data."""
    values, change = (float(row["first_value"]), float(row["second_value"])), f"{row['difference']:+.3f}"
    interval = "" if is_absent(row.get("low")) else f", 95 % interval {row['low']:+.3f} to {row['high']:+.3f}"
    tip = [f"{values[0]:.3f} to {values[1]:.3f}", f"difference {change}{interval}"]
    return chart.slope(row["first"], look, values, change=change, tip=tip)


def _reach(models: list[str]) -> tuple[float, float]:
    """Return both ends of the horizontal axis, so that names and values stand beside the columns."""
    longest = max(len(short_name(model, most=_LONGEST)) for model in models)
    left, right = (_INCHES_A_SIGN * (longest + signs) for signs in (len("  0.000"), len("  0.000 (+0.000)")))
    between = max(1.2, _INCHES - left - right)
    return -left / between - 0.1, 1 + right / between + 0.1


def _name_side(axes: Any, rows: pd.DataFrame, column: str, *, at: int) -> None:
    """Write names and values beside one column without overlaps."""
    low, high = axes.get_ylim()
    ordered = rows.sort_values(column, kind="stable")
    places = spread_out(list(map(float, ordered[column])), gap=_ROOM * (high - low), low=low, high=high)
    for place, (_, row) in zip(places, ordered.iterrows(), strict=True):
        change = "" if at == 0 or is_absent(row["difference"]) else f" ({row['difference']:+.3f})"
        axes.annotate(
            f"{short_name(row['first'], most=_LONGEST)}  {row[column]:.3f}{change}",
            (at, float(row[column])),
            (at + (0.08 if at else -0.08), place),
            ha="left" if at else "right",
            va="center",
            fontsize=small(),
            color=INK,
            in_layout=False,
            arrowprops={
                "arrowstyle": "-",
                "color": "0.7",
                "linewidth": 0.5,
                "relpos": (0, 0.5) if at else (1, 0.5),
                "shrinkA": 0,
            },
        )
    axes.set_ylim(low, high)
