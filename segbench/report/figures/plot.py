"""A figure with its caption and alternative text, and its files in light and dark colours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segbench.report.figures.style import DARK, styled
from segbench.results.files import storing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 150


@dataclass(frozen=True, eq=False)
class Plot:
    """A figure with its caption and alternative text.

    Attributes:
        name: What it shows, as part of a file name.
        title: What it shows, for a reader.
        caption: What is drawn, with n, protocol and spread.
        figure: The drawing.
        alternative: Text for readers who cannot see it; title and caption by default.
        chart: The same as data, for a page to draw with tooltips; None if it stays a picture. See
            ``segbench.report.chart``.
    """

    name: str
    title: str
    caption: str
    figure: Figure
    alternative: str = ""
    chart: Mapping[str, Any] | None = None


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


def save_for_paper(plot: Plot, folder: Path, *, name: str) -> tuple[Path, Path]:
    """Write a figure that was drawn as wide as a paper's column as PDF and SVG; equal figures give equal files.

    Raises:
        StoreError: It cannot be written.
    """
    from matplotlib.backends.backend_pdf import FigureCanvasPdf
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    pdf, svg = (folder / f"{name}.{kind}" for kind in ("pdf", "svg"))
    with storing(folder), styled():
        folder.mkdir(parents=True, exist_ok=True)
        about = {"Title": plot.title}
        FigureCanvasPdf(plot.figure).print_pdf(pdf, metadata={**about, "CreationDate": None})  # type: ignore[no-untyped-call]
        FigureCanvasSVG(plot.figure).print_svg(svg, metadata={**about, "Date": None})  # type: ignore[no-untyped-call]
    return pdf, svg


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
