"""Empty drawings of one panel or several."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


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
