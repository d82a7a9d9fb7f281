"""Empty drawings of one panel or several."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from segbench.report.figures.style import fitted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def panels(columns: int, height: float, *, rows: int = 1, width: float | None = None) -> tuple[Figure, list[Axes]]:
    """Return a drawing of some panels, row by row; sizes are in inches, for a screen."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from segbench.report.figures.notebook import ShownFigure

    size = fitted(width or 1.0 + 4.2 * columns, height)
    figure = ShownFigure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, list(np.ravel(figure.subplots(rows, columns)))


def canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """Return a drawing of one panel of the given size in inches."""
    figure, (axes,) = panels(1, height, width=width)
    return figure, axes
