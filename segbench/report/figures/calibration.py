"""Reliability diagrams: calibration of the networks' confidence."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from segbench.errors import StoreError
from segbench.metrics.calibration import CalibrationCounts, calibration_error
from segbench.report import chart
from segbench.report.figures.canvas import panels
from segbench.report.figures.captions import best, sample, scored_rows
from segbench.report.figures.looks import looks
from segbench.report.figures.plot import Plot
from segbench.report.figures.style import is_narrow, short_name, small, styled
from segbench.report.runs.folds import folders_of
from segbench.report.text import printable
from segbench.results.arrays.details import CALIBRATION, load_details
from segbench.results.record import Status
from segbench.results.run_files import DETAILS_FILE

_CONFIDENCE, _RIGHT = "Confidence", "Share that is right"
MOST_DIAGRAMS = 6
"""Number of networks with a diagram, the best ones."""


def reliability(board: pd.DataFrame, runs: pd.DataFrame) -> Plot | None:
    """Draw, by confidence, the share of pixels that are right, for the best networks; None without counts."""
    known = scored_rows(board[board["calibration_error"].notna()])
    counts = {str(model): _counts(runs, str(model)) for model in best(known, MOST_DIAGRAMS)["model"]}
    found = {model: count for model, count in counts.items() if count is not None and count.pixels.any()}
    if not found:
        return None
    columns = min(2 if is_narrow() else 3, len(found))
    rows = math.ceil(len(found) / columns)
    with styled():
        figure, axes = panels(columns, 2.5 * rows + 0.5, rows=rows, width=max(7.0, 2.4 * columns))
        for number, (panel, (model, count), look) in enumerate(
            zip(axes, found.items(), looks(list(found)), strict=False)
        ):
            _draw(panel, count, look.color)
            panel.set_title(short_name(model, most=16 if is_narrow() else 26), fontsize=small())
            if number % columns == 0:
                panel.set_ylabel(_RIGHT)
            if number >= len(found) - columns:
                panel.set_xlabel(_CONFIDENCE)
        for panel in axes[len(found) :]:
            panel.set_axis_off()
    shown = known[known["model"].isin(found)]
    caption = (
        "Reliability: the share of correct test pixels in each bin of confidence (softmax of the predicted class), "
        "summed over seeds. Below the diagonal, a network is overconfident. Grey bars: the share of pixels in each "
        "bin. ECE: expected calibration error. "
        f"{sample(shown, board, known=known, those='whose confidence was counted')}"
    )
    listed = "; ".join(f"{model}: ECE {calibration_error(count):.3f}" for model, count in found.items())
    colors = [look.color for look in looks(list(found))]
    diagrams = [_panel(model, count, color) for (model, count), color in zip(found.items(), colors, strict=True)]
    data = chart.reliability(diagrams, x=_CONFIDENCE, y=_RIGHT)
    return Plot("reliability", "Reliability diagrams", caption, figure, f"{caption} {listed}.", data)


def _panel(model: str, counts: CalibrationCounts, color: str) -> dict[str, Any]:
    """Return the diagram of one network as data."""
    pixels, correct, confidence = (part.sum(axis=0).astype(float) for part in counts)
    bins = []
    for held, right, sure in zip(pixels, correct, confidence, strict=True):
        x, y, share = (sure / held, right / held, held / pixels.sum()) if held else (None, None, 0.0)
        tip = [f"confidence {x:.2f}: {y:.2f} right", f"{100 * share:.1f} % of the pixels"] if held else []
        bins.append({"x": chart.number(x), "y": chart.number(y), "share": chart.number(share), "tip": tip})
    return {"name": printable(model), "color": color, "told": f"ECE {calibration_error(counts):.3f}", "bins": bins}


def _counts(runs: pd.DataFrame, model: str) -> CalibrationCounts | None:
    """Return the counts of all seeds of a network, (N, bins); None where a run lacks them."""
    parts: list[dict[str, Any]] = []
    for run in runs[(runs["status"] == Status.COMPLETED) & (runs["model"] == model)].itertuples():
        for folder in folders_of(run):
            try:
                details = load_details(folder / DETAILS_FILE, CALIBRATION)
            except StoreError:  # the leaderboard reports it
                return None
            if details is None or not details.part(CALIBRATION):
                return None
            parts.append(details.part(CALIBRATION))
    if not parts:
        return None
    return CalibrationCounts(**{name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


def _draw(axes: Any, counts: CalibrationCounts, color: str) -> None:
    pixels, correct, confidence = (part.sum(axis=0).astype(float) for part in counts)
    seen = pixels > 0
    bins = len(pixels)
    axes.bar(
        (np.arange(bins) + 0.5) / bins, pixels / pixels.sum(), width=1 / bins, color="0.6", alpha=0.35, linewidth=0
    )
    axes.plot([0, 1], [0, 1], color="0.55", linewidth=1, linestyle="--", zorder=1)
    axes.plot(confidence[seen] / pixels[seen], correct[seen] / pixels[seen], color=color, marker="o", markersize=3)
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.set_aspect("equal")
    axes.text(0.04, 0.92, f"ECE {calibration_error(counts):.3f}", fontsize=small(), transform=axes.transAxes)
