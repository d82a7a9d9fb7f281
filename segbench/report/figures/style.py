"""The look of all figures: colours, marks, axes and names."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from segbench.report.text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, PAPER, GRID = "#1b1c1e", "#fefefd", "#d3d4d6"
"""Text, background and grid lines on light paper; no other colour of a figure is one of these."""
DARK = {INK: "#e6e7e9", PAPER: "#16181b", GRID: "#3b3e43"}
"""What becomes of them on dark paper."""

_MARKERS = "oXsD^vPp*h"
_COLORS = (
    *("#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc"),
    *("#8c6d4a", "#56b4e9", "#7f7f7f", "#999933", "#aa4499"),
)
"""Safe for the colour-blind, and dark enough for print: seaborn's ``colorblind`` without its pale ones."""
_ORDINARY_NAME, _LONGEST_NAME = 14, 40
"""Signs of a name that a drawing has room for as it is, and for which it grows."""
_STYLE: dict[Any, Any] = {
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "svg.hashsalt": "segbench",  # equal figures give equal files
    "svg.fonttype": "none",
    "axes.titleweight": "bold",
    "axes.titlesize": "medium",
    **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
    **dict.fromkeys(("axes.edgecolor", "grid.color"), GRID),
    **dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), PAPER),
}
_INCHES_A_SIGN = 0.08
_EAST_ASIAN_FONTS = ("Noto Sans CJK JP", "Noto Sans CJK SC", "Hiragino Sans", "Yu Gothic", "WenQuanYi Zen Hei")


@contextmanager
def styled() -> Iterator[None]:
    """Set the look of all figures; what was set before comes back."""
    import matplotlib as mpl
    import seaborn as sns
    from matplotlib.font_manager import fontManager

    installed = {font.name for font in fontManager.ttflist}
    fonts = ["DejaVu Sans", *(name for name in _EAST_ASIAN_FONTS if name in installed), "sans-serif"]
    with sns.axes_style("whitegrid"), mpl.rc_context({**_STYLE, "font.family": fonts}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # the SVG keeps the sign, as text
        yield


def finish(axes: Axes, title: str, x: str, y: str, *, legend: bool = True) -> None:
    """Set a panel's title and axis labels, and put its legend to the right."""
    axes.set(title=title, xlabel=x, ylabel=y)
    if legend:
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize="small")


def plain_numbers(axes: Axes) -> None:
    """Show a logarithmic axis in ordinary numbers."""
    from matplotlib.ticker import LogLocator, StrMethodFormatter

    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter("")


def engineering_numbers(axes: Axes, unit: str) -> None:
    """Show an axis of large numbers with unit prefixes, such as ``20 MB``."""
    from matplotlib.ticker import EngFormatter

    axes.xaxis.set_major_formatter(EngFormatter(unit=unit))
    axes.xaxis.set_minor_formatter("")


def whole_numbers(axes: Axes) -> None:
    """Show whole numbers only on the horizontal axis."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def short_name(name: Any, most: int = _LONGEST_NAME) -> str:
    """Return a name as it stands in a drawing: what a long one has beyond ``most`` signs is left to the tables."""
    text = printable(name)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def room_for(names: Iterable[str]) -> float:
    """Return the inches that names need beyond those that a drawing has for ordinary ones."""
    return _INCHES_A_SIGN * max(0, max(map(len, names), default=0) - _ORDINARY_NAME)


def named_rows(axes: Axes, names: list[str]) -> None:
    """Name the rows of a drawing, the first at the top."""
    axes.set_yticks(range(len(names)), [short_name(name) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)


def colors(number: int) -> list[Any]:
    """Return a colour for each network, from a palette safe for the colour-blind."""
    return [_COLORS[index % len(_COLORS)] for index in range(number)]


def markers(number: int) -> list[str]:
    """Return a mark for each network; with the ten colours, no pair repeats below a hundred."""
    return [_MARKERS[(index + index // len(_MARKERS)) % len(_MARKERS)] for index in range(number)]


def dashes(number: int) -> list[tuple[str, str]]:
    """Return a line style and a mark for each network."""
    styles = ("-", "--", "-.", ":")
    return [(styles[index // 10 % len(styles)], mark) for index, mark in enumerate(markers(number))]


def legend_label(name: Any) -> str:
    """Return a name as a legend shows it; matplotlib drops those that begin with an underscore."""
    text = short_name(name)
    return f" {text}" if text.startswith("_") else text
