"""A matplotlib figure that a notebook shows as it is, without pyplot or a magic command."""

from __future__ import annotations

import io

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from segbench.report.figures.style import styled


class ShownFigure(Figure):
    """The figures of reports: ordinary ones that know how a notebook shows them."""

    def _repr_png_(self) -> bytes:
        content = io.BytesIO()
        with styled():
            FigureCanvasAgg(self).print_png(content)  # type: ignore[no-untyped-call]
        return content.getvalue()
