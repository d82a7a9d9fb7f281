"""Learning curves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from segbench.report.figures.canvas import panels
from segbench.report.figures.captions import best, sample, scored_rows, spread_words
from segbench.report.figures.plot import Plot
from segbench.report.figures.style import colors, dashes, finish, legend_label, styled, whole_numbers
from segbench.report.figures.tradeoffs import MIOU

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_VALIDATED = "validation_mean_iou"


def learning_curves(board: pd.DataFrame, histories: pd.DataFrame) -> Plot | None:
    """Draw training loss and, where there is one, validation mean IoU by epoch; None without histories."""
    known = scored_rows(board[board["model"].isin(histories["model"])])
    shown = best(known)
    measures = [name for name in ("loss", _VALIDATED) if _numbers(histories, name).notna().any()]
    models = list(shown["model"])
    if not measures or not models:
        return None
    words = {"loss": ("Training loss by epoch", "Training loss"), _VALIDATED: ("Validation mean IoU by epoch", MIOU)}
    with styled():
        figure, axes = panels(len(measures), max(4.2, 0.24 * len(models)))
        for panel, measure in zip(axes, measures, strict=True):
            for model, color, dash in zip(models, colors(len(models)), dashes(len(models)), strict=True):
                _draw_curve(panel, histories[histories["model"] == model], measure, color=color, dash=dash)
            title, unit = words[measure]
            finish(panel, title, "Epoch", unit, legend=panel is axes[-1])
            whole_numbers(panel)
    drawn = sample(shown, board, known=known, those="whose curve was kept")
    caption = f"Learning curves, mean over seeds. {drawn} {spread_words(shown, 'Bands')}"
    return Plot("learning-curves", "Learning curves", caption, figure)


def _draw_curve(axes: Axes, curve: pd.DataFrame, measure: str, *, color: Any, dash: tuple[str, str]) -> None:
    values = pd.DataFrame({"epoch": _numbers(curve, "epoch"), "value": _numbers(curve, measure)}).dropna()
    by_epoch = values.groupby("epoch")["value"]
    mean, spread = by_epoch.mean(), by_epoch.std()
    axes.plot(
        mean.index,
        mean,
        color=color,
        linestyle=dash[0],
        marker=dash[1],
        markersize=5,
        markeredgewidth=0,
        label=legend_label(curve["model"].iloc[0]),
    )
    if spread.notna().any():
        axes.fill_between(mean.index, mean - spread, mean + spread, color=color, alpha=0.2, linewidth=0)


def _numbers(frame: pd.DataFrame, name: str) -> pd.Series[float]:
    if name not in frame.columns:
        return pd.Series(np.nan, index=frame.index)
    return pd.to_numeric(frame[name], errors="coerce").replace([np.inf, -np.inf], np.nan)
