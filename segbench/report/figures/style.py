"""The look of all figures: style, canvas, colours and files, on light and on dark paper."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from segbench.report.text import printable
from segbench.results.files import storing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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
_DPI = 150
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


@dataclass(frozen=True, eq=False)
class Plot:
    """A figure with its words.

    Attributes:
        name: What it shows, as part of a file name.
        title: What it shows, for a reader.
        caption: What is drawn, with n, protocol and spread.
        figure: The drawing.
        alternative: What those are told who do not see it; the title and the caption by default.
    """

    name: str
    title: str
    caption: str
    figure: Figure
    alternative: str = ""


@dataclass(frozen=True)
class PlotFiles:
    """The files of one figure.

    Attributes:
        light: SVG on light paper.
        dark: SVG on dark paper.
        png: On light paper.
    """

    light: Path
    dark: Path
    png: Path

    def __iter__(self) -> Iterator[Path]:
        return iter((self.light, self.dark, self.png))


def save(plot: Plot, folder: Path, *, name: str | None = None) -> PlotFiles:
    """Write a figure as SVG, for light and for dark paper, and as PNG; equal figures give equal files.

    Args:
        plot: The figure.
        folder: Where to.
        name: The stem of its files; the plot's own name by default.

    Raises:
        StoreError: It cannot be written.
    """
    stem = name or plot.name
    files = PlotFiles(*(folder / f"{stem}{ending}" for ending in (".svg", "-dark.svg", ".png")))
    with storing(folder), styled():
        folder.mkdir(parents=True, exist_ok=True)
        _draw(plot, files)
        files.dark.write_text(darkened(files.light.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")
    return files


def _draw(plot: Plot, files: PlotFiles) -> None:
    """Write both formats, each drawn once: ``savefig`` would draw either twice, for the layout."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    figure, screen_dpi = plot.figure, plot.figure.dpi
    figure.set_dpi(_DPI)
    FigureCanvasAgg(figure).print_png(files.png, metadata={"Title": plot.title, "Software": None})  # type: ignore[no-untyped-call]
    figure.set_layout_engine("none")  # it is laid out now
    figure.set_dpi(screen_dpi)
    FigureCanvasSVG(figure).print_svg(files.light, metadata={"Title": plot.title, "Date": None})  # type: ignore[no-untyped-call]


def darkened(svg: str) -> str:
    """Return an SVG of ours for dark paper."""
    for light, dark in DARK.items():
        svg = svg.replace(light, dark)
    return svg


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


def panels(columns: int, height: float, *, rows: int = 1, width: float | None = None) -> tuple[Figure, list[Axes]]:
    """Return a drawing of some panels, row by row; sizes are in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from segbench.report.figures.notebook import ShownFigure

    figure = ShownFigure(figsize=(width or 3.0 + 4.5 * columns, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, list(np.ravel(figure.subplots(rows, columns)))


def canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """Return a drawing of one panel of the given size in inches."""
    figure, (axes,) = panels(1, height, width=width)
    return figure, axes


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
