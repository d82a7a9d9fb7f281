"""Mean IoU against latency and file size, with an arrow from PyTorch to each target."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from segbench.config.sections.deploy import REFERENCE
from segbench.report.deployment.rows import DeploymentRow, DeploymentTable
from segbench.report.figures.canvas import panels
from segbench.report.figures.captions import spanned
from segbench.report.figures.looks import MARKERS, looks
from segbench.report.figures.plot import Plot
from segbench.report.figures.style import GRID, INK, finish, logarithmic, short_name, styled
from segbench.report.figures.tradeoffs import MIOU
from segbench.report.text import byte_count, plural, short_id

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAME = "deployment"
MOST_NETWORKS = 8
"""More networks, each with all its targets, cannot be told apart in a drawing."""

_MILLISECONDS, _BYTES = "Latency in ms, lower is better", "Size of the file in bytes"
_MARKS = f"o{MARKERS.replace('o', '')}"


def deployment_figure(table: DeploymentTable) -> Plot | None:
    """Draw what each target does to each network; None where no target has a time or a size.

    The best networks in PyTorch are drawn, at most ``MOST_NETWORKS``.
    """
    labels = list(dict.fromkeys(row.label for row in table.rows))
    shown = labels[:MOST_NETWORKS]
    rows = [row for row in table.rows if row.label in shown and not math.isnan(row.mean_iou)]
    timed = [row for row in rows if row.latency_ms is not None]
    sized = [row for row in rows if row.file_bytes]
    if len({row.target for row in timed}) < 2:
        return None
    targets = list(dict.fromkeys(row.target for row in rows))
    with styled():
        figure, (left, right) = panels(2, 4.8, width=11.0)
        _draw(left, timed, targets, [row.latency_ms or 0.0 for row in timed], _MILLISECONDS)
        _draw(right, sized, targets, [float(row.file_bytes or 0) for row in sized], _BYTES)
        logarithmic(left)
        logarithmic(right, unit="B")
        _legend(figure, table, rows, targets)
    caption = _caption(table, shown, labels, rows)
    return Plot(NAME, "Accuracy and cost elsewhere", caption, figure, f"{caption} {_listed(timed)}")


def _draw(axes: Axes, rows: Sequence[DeploymentRow], targets: Sequence[str], across: Sequence[float], x: str) -> None:
    """Draw a mark for each network and target, in the colour of the network and the form of the target."""
    labels = list(dict.fromkeys(row.label for row in rows))
    colors = dict(zip(labels, (look.color for look in looks(labels)), strict=True))
    places = {(row.label, row.target): (value, row.mean_iou) for row, value in zip(rows, across, strict=True)}
    for (label, target), place in places.items():
        if (start := places.get((label, REFERENCE))) is not None and target != REFERENCE:
            arrow = {"arrowstyle": "->", "color": colors[label], "alpha": 0.55, "shrinkA": 4, "shrinkB": 4}
            axes.annotate("", xy=place, xytext=start, arrowprops=arrow)
        mark = _MARKS[targets.index(target) % len(_MARKS)]
        axes.plot(*place, color=colors[label], marker=mark, markersize=8, linestyle="none")
    axes.margins(0.08)
    finish(axes, x, MIOU)


def _legend(figure: object, table: DeploymentTable, rows: Sequence[DeploymentRow], targets: Sequence[str]) -> None:
    """Name the colours of networks and the forms of targets below the panels."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    assert isinstance(figure, Figure)
    labels = list(dict.fromkeys(row.label for row in rows))
    networks = [
        Line2D([], [], color=look.color, linewidth=3, label=short_name(label))
        for label, look in zip(labels, looks(labels), strict=True)
    ]
    forms = [
        Line2D([], [], color=INK, marker=_MARKS[place % len(_MARKS)], linestyle="none", label=table.names[target])
        for place, target in enumerate(targets)
    ]
    columns = min(6, len(networks) + len(forms))
    figure.legend(handles=[*networks, *forms], loc="outside lower center", ncols=columns, edgecolor=GRID)


def _caption(table: DeploymentTable, shown: Sequence[str], labels: Sequence[str], rows: Sequence[DeploymentRow]) -> str:
    whole = len(shown) == len(labels)
    networks = plural(len(labels), "network") if whole else f"the best {len(shown)} of {len(labels)} networks"
    return (
        f"Mean IoU against latency (left) and size of the file (right) on {table.device}. Arrows lead from PyTorch to "
        f"each target. Protocol {short_id(table.protocol)}; {networks}, n = "
        f"{spanned((row.seeds for row in rows), 'seed')} each, {plural(table.images, 'test image')}; latencies are "
        "medians of fresh processes."
    )


def _listed(rows: Sequence[DeploymentRow]) -> str:
    """Return all points in words."""
    points = [
        f"{row.label} in {row.name}: {row.mean_iou:.3f} at {row.latency_ms:.3g} ms, {byte_count(row.file_bytes)}"
        for row in rows
    ]
    return "; ".join(points)
