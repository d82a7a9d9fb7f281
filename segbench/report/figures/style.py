"""The look of all figures: colours, marks, axes and names."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from segbench.report.text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PAPER_POINTS = 8.0
"""Size of all text in figures for papers, in points."""

_COLUMN: ContextVar[float | None] = ContextVar("column width in inches", default=None)
_LOWEST, _NARROW = 0.6, 5.0
"""Figures in a narrow column keep at least this share of their height."""

INK, PAPER, GRID = "#1b1c1e", "#fefefd", "#d3d4d6"
"""Colours of text, background and grid lines on light paper; reserved for these."""
DARK = {INK: "#e6e7e9", PAPER: "#16181b", GRID: "#3b3e43"}
"""Their replacements on dark paper."""

_ORDINARY_NAME, _LONGEST_NAME = 14, 40
"""Characters of a name that fit by default, and at most."""
_STYLE: dict[Any, Any] = {
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "svg.hashsalt": "segbench",  # equal figures give equal files
    "svg.fonttype": "none",
    "axes.titlesize": "medium",
    **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
    **dict.fromkeys(("axes.edgecolor", "grid.color"), GRID),
    **dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), PAPER),
}
_PAPER_SIZES: dict[Any, Any] = {
    **dict.fromkeys(("font.size", "axes.labelsize", "axes.titlesize"), PAPER_POINTS),
    **dict.fromkeys(("xtick.labelsize", "ytick.labelsize", "legend.fontsize", "figure.labelsize"), PAPER_POINTS),
    "pdf.fonttype": 42,  # text stays text
    "lines.linewidth": 1.0,
    "lines.markersize": 4.0,
}
_INCHES_A_SIGN = 0.08
_EAST_ASIAN_FONTS = ("Noto Sans CJK JP", "Noto Sans CJK SC", "Hiragino Sans", "Yu Gothic", "WenQuanYi Zen Hei")


@contextmanager
def column_width(inches: float) -> Iterator[None]:
    """Draw figures as wide as a column of a paper, in which they are put without scaling."""
    before = _COLUMN.set(inches)
    try:
        yield
    finally:
        _COLUMN.reset(before)


def in_a_paper() -> bool:
    """Return whether figures are drawn for a paper."""
    return _COLUMN.get() is not None


def is_narrow() -> bool:
    """Return whether figures are drawn for a single column of a paper, which holds fewer panels."""
    column = _COLUMN.get()
    return column is not None and column < _NARROW


def fitted(width: float, height: float) -> tuple[float, float]:
    """Return the size of a drawing in inches: as it is, or as wide as a paper's column."""
    column = _COLUMN.get()
    if column is None:
        return width, height
    return column, height * min(1.0, max(_LOWEST, column / width))


@contextmanager
def styled() -> Iterator[None]:
    """Set the look of all figures; what was set before comes back."""
    import matplotlib as mpl
    import seaborn as sns
    from matplotlib.font_manager import fontManager

    installed = {font.name for font in fontManager.ttflist}
    fonts = ["DejaVu Sans", *(name for name in _EAST_ASIAN_FONTS if name in installed), "sans-serif"]
    look = {**_STYLE, **(_PAPER_SIZES if in_a_paper() else {}), "font.family": fonts}
    with sns.axes_style("whitegrid"), mpl.rc_context(look), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # the SVG keeps the sign, as text
        yield


def finish(axes: Axes, x: str, y: str) -> None:
    """Set a panel's axis labels; what is drawn stands in the words around a figure, not in it."""
    axes.set(xlabel=x, ylabel=y)


def small(size: str = "small") -> Any:
    """Return the size of lesser text: smaller on screens, the same as all text in papers."""
    return PAPER_POINTS if in_a_paper() else size


def logarithmic(axes: Axes, *, unit: str | None = None) -> None:
    """Make the horizontal axis logarithmic, with labelled ticks, and let its label say so.

    Args:
        axes: The panel; its label is set.
        unit: Of large numbers, which are then shown with prefixes, such as ``20 MB``; None for ordinary numbers.
    """
    from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter, StrMethodFormatter

    axes.set_xscale("log")
    low, high = axes.get_xlim()
    wide = high > 300 * low
    axes.xaxis.set_major_locator(LogLocator(subs=(1,) if wide else (1, 2, 5)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}") if unit is None else EngFormatter(unit=unit))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(f"{axes.get_xlabel()}, log scale")


def engineering_numbers(axes: Axes, unit: str) -> None:
    """Show an axis of large numbers with unit prefixes, such as ``20 MB``."""
    from matplotlib.ticker import EngFormatter

    axes.xaxis.set_major_formatter(EngFormatter(unit=unit))
    axes.xaxis.set_minor_formatter("")


def megabytes(axes: Axes) -> None:
    """Show a horizontal axis of bytes in megabytes, the unit of every table."""
    axes.xaxis.set_major_formatter(lambda value, _: f"{value / 1e6:,.0f} MB")


def whole_numbers(axes: Axes) -> None:
    """Show whole numbers only on the horizontal axis."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def short_name(name: Any, most: int = _LONGEST_NAME) -> str:
    """Return a name for a drawing, cut to ``most`` characters."""
    text = printable(name)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def room_for(names: Iterable[str]) -> float:
    """Return the extra inches that long names need."""
    return _INCHES_A_SIGN * max(0, max(map(len, names), default=0) - _ORDINARY_NAME)


def named_rows(axes: Axes, names: list[str]) -> None:
    """Name the rows of a drawing, the first at the top."""
    axes.set_yticks(range(len(names)), [short_name(name) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)


def legend_label(name: Any) -> str:
    """Return a name as a legend shows it; matplotlib drops those that begin with an underscore."""
    text = short_name(name)
    return f" {text}" if text.startswith("_") else text
