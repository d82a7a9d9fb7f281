"""The look of all figures: style, canvas, colours and files."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
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

FORMATS = ("svg", "png")

_MARKERS = "oXsD^vPp*h"
_DPI = 150
_STYLE: dict[Any, Any] = {
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "svg.hashsalt": "segbench",  # equal figures give equal files
    "svg.fonttype": "none",
    "axes.titleweight": "bold",
    "axes.titlesize": "medium",
}
_EAST_ASIAN_FONTS = ("Noto Sans CJK JP", "Noto Sans CJK SC", "Hiragino Sans", "Yu Gothic", "WenQuanYi Zen Hei")


@dataclass(frozen=True, eq=False)
class Plot:
    """A figure with its words.

    Attributes:
        name: What it shows, as part of a file name.
        title: What it shows, for a reader.
        caption: What is drawn, with n, protocol and spread.
        figure: The drawing.
    """

    name: str
    title: str
    caption: str
    figure: Figure


def save(plot: Plot, folder: Path, *, suffix: str = "") -> list[Path]:
    """Write a figure as SVG and PNG; equal figures give equal files.

    Raises:
        StoreError: It cannot be written.
    """
    files = [folder / f"{plot.name}{suffix}.{kind}" for kind in FORMATS]
    with storing(folder), styled():
        folder.mkdir(parents=True, exist_ok=True)
        plot.figure.draw_without_rendering()
        plot.figure.set_layout_engine("none")  # it is laid out now; each format would do it again
        for file in files:
            metadata = {"Title": plot.title} | ({"Date": None} if file.suffix == ".svg" else {"Software": None})
            plot.figure.savefig(file, dpi=_DPI, metadata=metadata)
    return files


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


def panels(number: int, height: float) -> tuple[Figure, list[Axes]]:
    """Return a drawing of some panels side by side; the height is in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.0 + 4.5 * number, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, list(np.ravel(figure.subplots(1, number)))


def canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """Return a drawing of one panel of the given size in inches."""
    figure, (axes,) = panels(1, height)
    figure.set_size_inches(width, height)
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


def whole_epochs(axes: Axes) -> None:
    """Show whole epochs only."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def colors(number: int) -> list[Any]:
    """Return a colour for each network, from a palette safe for the colour-blind."""
    import seaborn as sns

    palette = sns.color_palette("colorblind")
    return [palette[index % len(palette)] for index in range(number)]


def markers(number: int) -> list[str]:
    """Return a mark for each network; with the ten colours, no pair repeats below a hundred."""
    return [_MARKERS[(index + index // len(_MARKERS)) % len(_MARKERS)] for index in range(number)]


def dashes(number: int) -> list[tuple[str, str]]:
    """Return a line style and a mark for each network."""
    styles = ("-", "--", "-.", ":")
    return [(styles[index // 10 % len(styles)], mark) for index, mark in enumerate(markers(number))]


def legend_label(name: Any) -> str:
    """Return a name as a legend shows it; matplotlib drops those that begin with an underscore."""
    text = printable(name)
    return f" {text}" if text.startswith("_") else text
