"""Mean IoU against latency and file size, with an arrow from PyTorch to each target."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from segbench.config.sections.deploy import REFERENCE
from segbench.report.deployment.rows import DeploymentRow, DeploymentTable
from segbench.report.figures.canvas import panels
from segbench.report.figures.captions import spanned
from segbench.report.figures.looks import COLORS, MARKERS, looks
from segbench.report.figures.plot import Plot
from segbench.report.figures.style import GRID, INK, finish, logarithmic, short_name, styled
from segbench.report.figures.tradeoffs import MIOU
from segbench.report.text import byte_count, plural, short_id

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAME = "deployment"
MOST_NETWORKS, MOST_POINTS = 8, 48
"""More networks, or more points of networks and targets, cannot be told apart in a drawing."""

_MILLISECONDS, _BYTES = "Latency in ms, lower is better", "Size of the file in bytes"
_MARKS = f"o{MARKERS.replace('o', '')}"
_LEGEND_COLUMNS, _LEGEND_SIGNS = 6, 118
"""Most columns of the legend, and how many signs of text, with a mark for six each, are as wide as the figure."""


def deployment_figure(table: DeploymentTable) -> Plot | None:
    """Draw what each target does to each network; None where no target has a time or a size.

    The best networks in PyTorch are drawn, at most ``MOST_NETWORKS``, on as many targets as there are marks.
    """
    scored = [row for row in table.rows if not math.isnan(row.mean_iou)]
    known = [target for target in table.names if target in {row.target for row in scored}]
    targets, labels = known[: len(_MARKS)], list(dict.fromkeys(row.label for row in table.rows))
    shown = labels[: min(MOST_NETWORKS, MOST_POINTS // max(1, len(targets)))]
    rows = [row for row in scored if row.label in shown and row.target in targets]
    timed = [row for row in rows if row.latency_ms is not None]
    sized = [row for row in rows if row.file_bytes]
    if len({row.target for row in timed}) < 2:
        return None
    with styled():
        figure, (left, right) = panels(2, 4.8, width=11.0)
        forms = _forms(rows, targets)
        _draw(left, timed, forms, [row.latency_ms or 0.0 for row in timed], _MILLISECONDS)
        _draw(right, sized, forms, [float(row.file_bytes or 0) for row in sized], _BYTES)
        logarithmic(left)
        logarithmic(right, unit="B")
        _legend(figure, table, forms)
    caption = _caption(table, shown, labels, rows)
    if len(known) > len(targets):
        caption += f" The table has {plural(len(known) - len(targets), 'further target')}."
    return Plot(NAME, "Accuracy and cost elsewhere", caption, figure, f"{caption} {_listed(timed)}")


class _Forms(NamedTuple):
    """By network the colour of its marks, by target their form; no two are alike."""

    colors: Mapping[str, str]
    marks: Mapping[str, str]


def _forms(rows: Sequence[DeploymentRow], targets: Sequence[str]) -> _Forms:
    """Return colours, those of other figures where two networks do not share them, and marks."""
    labels = list(dict.fromkeys(row.label for row in rows))
    colors: dict[str, str] = {}
    for label, look in zip(labels, looks(labels), strict=True):
        free = [color for color in (look.color, *COLORS) if color not in colors.values()]
        colors[label] = free[0] if free else look.color
    return _Forms(colors, dict(zip(targets, _MARKS, strict=False)))


def _draw(axes: Axes, rows: Sequence[DeploymentRow], forms: _Forms, across: Sequence[float], x: str) -> None:
    """Draw a mark for each network and target, in the colour of the network and the form of the target."""
    places = {(row.label, row.target): (value, row.mean_iou) for row, value in zip(rows, across, strict=True)}
    for (label, target), place in places.items():
        if (start := places.get((label, REFERENCE))) is not None and target != REFERENCE:
            arrow = {"arrowstyle": "->", "color": forms.colors[label], "alpha": 0.55, "shrinkA": 4, "shrinkB": 4}
            axes.annotate("", xy=place, xytext=start, arrowprops=arrow)
        axes.plot(*place, color=forms.colors[label], marker=forms.marks[target], markersize=8, linestyle="none")
    axes.margins(0.08)
    finish(axes, x, MIOU)


def _legend(figure: object, table: DeploymentTable, forms: _Forms) -> None:
    """Name the colours of networks and the forms of targets below the panels."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    assert isinstance(figure, Figure)
    networks = [
        Line2D([], [], color=color, linewidth=3, label=short_name(label)) for label, color in forms.colors.items()
    ]
    targets = [
        Line2D([], [], color=INK, marker=mark, linestyle="none", label=table.names[target])
        for target, mark in forms.marks.items()
    ]
    handles = [*networks, *targets]
    widest = max(len(str(handle.get_label())) for handle in handles)
    columns = max(1, min(_LEGEND_COLUMNS, len(handles), _LEGEND_SIGNS // (widest + 6)))
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, edgecolor=GRID)


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
