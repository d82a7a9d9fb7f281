"""The colour and the mark of each network, the same in every figure and report, and where names stand at points."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segbench.report.figures.style import INK, PAPER, short_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.transforms import Bbox

COLORS = (
    *("#0173b2", "#c97f00", "#029e73", "#d55e00", "#c25fae"),
    *("#8c6d4a", "#3a9bdc", "#7f7f7f", "#8b8b2b", "#aa4499"),
)
"""Safe for the colour-blind, and dark enough for print: seaborn's ``colorblind`` without its pale ones."""
MARKERS = "oXsD^vPp*h"

_KNOWN = {
    "unet": (0, "o"),
    "fcn8s": (1, "X"),
    "cnn": (2, "s"),
    "cnnwithoutdecoder": (2, "s"),
    "segnet": (7, "p"),
    "segnetbasic": (6, "P"),
    "deeplablargefov": (4, "^"),
    "fcn32s": (5, "v"),
    "fcn16s": (3, "D"),
    "fcdensenetsmall": (8, "*"),
    "fcdensenet": (8, "*"),
    "deconvnet": (9, "h"),
    "deeplabv3plus": (4, "D"),
    "unetefficientnetlite0imagenet": (3, "o"),
    "unetefficientnetlite0scratch": (2, "o"),
    "unetvalid": (0, "s"),
    "torchvisionfcnresnet50": (1, "P"),
    "fcdensenet56": (8, "*"),
    "fcdensenet67": (8, "X"),
    "fcdensenet103": (8, "s"),
    "densenetfcn": (2, "v"),
}
"""Colour and mark of the networks that come with segbench, by the letters and digits of their labels."""

_NAME_SIZE = 8.0
"""Font size of names at points, on screens; papers set their own."""


Line = tuple[tuple[float, float], tuple[float, float]]
"""A line by both ends."""


class Look(NamedTuple):
    """How a network is drawn.

    Attributes:
        color: As ``#rrggbb``.
        marker: Matplotlib's sign for the mark.
    """

    color: str
    marker: str


def looks(models: Sequence[str]) -> list[Look]:
    """Return the colour and mark of each network, derived from its name; clashes are resolved.

    An unknown name gets its colour and mark from its hash.
    """
    taken: set[tuple[int, str]] = set()
    chosen: dict[str, tuple[int, str]] = {}
    for model in sorted(set(models), key=lambda name: (_plain(name) not in _KNOWN, name)):
        place = _first_choice(model)
        color, mark = place % len(COLORS), place // len(COLORS)
        pair = _KNOWN.get(_plain(model), (color, MARKERS[mark]))
        for step in range(1, len(COLORS) * len(MARKERS)):
            if pair not in taken:
                break
            pair = ((place + step) % len(COLORS), MARKERS[(mark + step // len(COLORS)) % len(MARKERS)])
        taken.add(pair)
        chosen[model] = pair
    return [Look(COLORS[color], marker) for color, marker in (chosen[model] for model in models)]


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _first_choice(name: str) -> int:
    """Return a number below that of all pairs of colour and mark, always the same for a name."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:4], "big") % (len(COLORS) * len(MARKERS))


def name_points(
    axes: Axes, names: Sequence[str], points: Sequence[tuple[float, float]], lines: Sequence[Line] = ()
) -> None:
    """Write each network's name beside its point, where it covers as little as possible of points, names and lines.

    Needs a finished layout: positions are chosen in pixels.

    Args:
        axes: The panel.
        names: The names.
        points: Where their points stand.
        lines: Lines that are drawn, upright or level, by both ends.
    """
    import matplotlib as mpl
    from matplotlib.transforms import Bbox

    size = float(mpl.rcParams["font.size"]) * _NAME_SIZE / 10.0
    figure = axes.figure
    figure.draw_without_rendering()  # type: ignore[union-attr]
    within = _edges([axes.get_window_extent()])
    pixels = axes.transData.transform(points)
    reach = 5.0 * figure.dpi / 72
    taken = [Bbox.from_bounds(x - reach, y - reach, 2 * reach, 2 * reach) for x, y in pixels]
    crossed = _edges([Bbox(axes.transData.transform(line)).padded(figure.dpi / 72) for line in lines])
    for name, point, (x, y) in zip(names, points, pixels, strict=True):
        filled = _edges(taken)
        best: tuple[float, tuple[float, float, str, str], Bbox] | None = None
        for place in _PLACES:
            across, up, horizontal, vertical = place
            text = short_name(name)
            wide, high = 0.58 * size * len(text) * figure.dpi / 72, 1.25 * size * figure.dpi / 72
            left = x + across * reach * 1.5 - {"left": 0.0, "center": 0.5, "right": 1.0}[horizontal] * wide
            low = y + up * reach * 1.5 - {"bottom": 0.0, "center": 0.5, "top": 1.0}[vertical] * high
            box = Bbox.from_bounds(left, low, wide, high)
            covered = _shared(box, filled) + 2 * _shared(box, crossed)
            cost = covered + 4 * (wide * high - _shared(box, within))
            if best is None or cost < best[0] - 1e-6:
                best = (cost, place, box)
        assert best is not None
        _, (across, up, horizontal, vertical), box = best
        taken.append(box)
        axes.annotate(
            short_name(name),
            point,
            (across * 7.5, up * 7.5),
            textcoords="offset points",
            ha=horizontal,
            va=vertical,
            fontsize=size,
            color=INK,
            in_layout=False,
            bbox={"boxstyle": "square,pad=0.05", "facecolor": PAPER, "edgecolor": "none", "alpha": 0.9},
        )


_PLACES = (
    *((1, 0, "left", "center"), (-1, 0, "right", "center"), (0, 1, "center", "bottom"), (0, -1, "center", "top")),
    *((0.8, 0.8, "left", "bottom"), (0.8, -0.8, "left", "top"), (-0.8, 0.8, "right", "bottom")),
    *((-0.8, -0.8, "right", "top"), (1, 2.2, "left", "bottom"), (1, -2.2, "left", "top")),
    *((-1, 2.2, "right", "bottom"), (-1, -2.2, "right", "top")),
)
"""Candidate positions of a name: steps to the right and up, with its alignment."""


def _edges(boxes: Sequence[Bbox]) -> NDArray[np.float64]:
    """Return the left, lower, right and upper edges of N boxes, (4, N)."""
    return np.array([(box.xmin, box.ymin, box.xmax, box.ymax) for box in boxes], np.float64).reshape(-1, 4).T


def _shared(box: Bbox, others: NDArray[np.float64]) -> float:
    """Return the overlap of a box with each of the others, given by their edges, in square pixels, summed."""
    left, low, right, high = others
    wide = np.minimum(box.xmax, right) - np.maximum(box.xmin, left)
    tall = np.minimum(box.ymax, high) - np.maximum(box.ymin, low)
    return float(np.where((wide > 0) & (tall > 0), wide * tall, 0.0).sum())
