"""The figure of a joint view: each network's rank in each table, with the ranks that are left open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from segbench.report.figures.canvas import canvas
from segbench.report.figures.captions import MOST_NETWORKS
from segbench.report.figures.looks import looks
from segbench.report.figures.plot import Plot
from segbench.report.figures.style import GRID, finish, legend_label, named_rows, styled
from segbench.report.joint.joint import Joint, JointRow
from segbench.report.joint.words import of_how_many

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAME = "ranks"
_BAND = 0.8
"""Share of the height of a table's row that its networks' bars fill."""
_LINE, _LEAST_ROW = 0.11, 0.42
"""Inches of a network's bar, and of a table's row at least."""


def rank_plot(joint: Joint) -> Plot:
    """Draw the rank of each network in each table as a mark, and the ranks that are left open as a bar."""
    rows = joint.rows[:MOST_NETWORKS]
    with styled():
        height = max(_LEAST_ROW, _LINE * len(rows)) * len(joint.tables)
        figure, axes = canvas(8.6, 1.5 + height)
        for number, (row, look) in enumerate(zip(rows, looks([row.label for row in rows]), strict=True)):
            _draw(axes, joint, row, (look.color, look.marker), offset=_offset(number, len(rows)))
        _tables(axes, joint)
        axes.set_xticks(range(1, len(joint.rows) + 1))
        axes.set_xlim(0.6, len(joint.rows) + 0.4)
        finish(axes, "Rank by mean IoU, 1 is best", "")
        axes.grid(visible=False, axis="y")
        figure.legend(loc="outside lower center", ncols=4, frameon=False)
    shown = "" if len(rows) == len(joint.rows) else f" The {len(rows)} networks of the best mean rank are drawn."
    caption = (
        f"Rank of each network by mean IoU (mark) in {len(joint.tables)} tables, and the ranks that trainings and test "
        f"images leave open, right together at 95 % (bar). {of_how_many(joint)}{shown}"
    )
    return Plot(NAME, "Ranks in each table", caption, figure, f"{caption} {_listed(joint)}")


def _offset(number: int, networks: int) -> float:
    """Return how far below the middle of a table's row a network is drawn."""
    return _BAND * ((number + 0.5) / networks - 0.5)


def _draw(axes: Axes, joint: Joint, row: JointRow, look: tuple[str, str], *, offset: float) -> None:
    color, marker = look
    for number, table in enumerate(joint.tables):
        place = row.places[table]
        ends, height = [place.best_rank, place.worst_rank], number + offset
        axes.plot(ends, [height, height], color=color, linewidth=3, alpha=0.5, solid_capstyle="butt")
    heights = [number + offset for number in range(len(joint.tables))]
    ranks = [row.places[table].rank for table in joint.tables]
    axes.plot(ranks, heights, color=color, marker=marker, markersize=6, linestyle="none", label=legend_label(row.label))


def _tables(axes: Axes, joint: Joint) -> None:
    """Name each table at its row, the first one at the top, with a line between two of them."""
    named_rows(axes, list(joint.tables))
    axes.tick_params(axis="y", length=0)
    for number in range(1, len(joint.tables)):
        axes.axhline(number - 0.5, color=GRID, linewidth=0.8)


def _listed(joint: Joint) -> str:
    """Return all ranks in words."""
    return " ".join(
        f"{table}: " + ", ".join(f"{row.label} {_rank(row, table)}" for row in joint.rows) + "."
        for table in joint.tables
    )


def _rank(row: JointRow, table: str) -> str:
    place = row.places[table]
    return f"{place.rank} ({place.best_rank} to {place.worst_rank})"
