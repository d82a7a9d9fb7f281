"""Measured speed: latency distributions and peak memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from segbench.report import chart
from segbench.report.figures.canvas import canvas, panels
from segbench.report.figures.captions import best, sample, scored_rows, spanned
from segbench.report.figures.looks import Look, looks
from segbench.report.figures.plot import Plot
from segbench.report.figures.style import INK, is_narrow, logarithmic, megabytes, named_rows, styled
from segbench.report.ranking.speed_columns import single_image_records
from segbench.report.ranking.speed_summary import P99_SAMPLES
from segbench.report.text import byte_count, is_absent, rate
from segbench.results.speed.record import SpeedRecord

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BARS = {
    "inference_memory_bytes": "Peak memory of inference, smallest batch",
    "training_memory_bytes": "Peak memory of a training step",
}
_LATENCY = "Latency of single images (ms a call)"


def latency_distributions(board: pd.DataFrame, runs: pd.DataFrame) -> Plot | None:
    """Draw the latency distribution of single images; None without measurements."""
    records = _single_images(board, runs)
    known = scored_rows(board[board["model"].isin(records)])
    shown = best(known)
    if shown.empty:
        return None
    models = [str(model) for model in shown["model"]]
    times = [_milliseconds(records[model]) for model in models]
    with styled():
        figure = _drawn_boxes(models, times)
    restarts = [sum(bool(restart.host_seconds) for restart in records[model].restarts) for model in models]
    calls, processes = spanned(map(len, times), "call"), spanned(restarts, "process", "processes")
    many = any(len(values) >= P99_SAMPLES for values in times)
    mark = f"; grey mark: the slowest hundredth begins (of {P99_SAMPLES:,} calls or more)" if many else ""
    caption = (
        f"Latency of single images{_situation(shown)}: n = {calls} in {processes} of each network. Box: quartiles and "
        f"median; whiskers: 5th and 95th percentile{mark}. "
        f"{sample(shown, board, known=known, those='whose latency was measured')}"
    )
    listed = "; ".join(
        f"{model}: median {np.median(values):.3g} ms, {len(values):,} calls"
        for model, values in zip(models, times, strict=True)
    )
    return Plot(
        "latency", "Latency of single images", caption, figure, f"{caption} {listed}.", _latency_chart(models, times)
    )


def _latency_chart(models: list[str], times: list[np.ndarray]) -> dict[str, Any]:
    """Return the boxes as data: whiskers, quartiles and, as the mark, the median."""
    points = []
    for place, (model, values, look) in enumerate(zip(models, times, looks(models), strict=True)):
        low, first, median, third, high = np.percentile(values, (5, 25, 50, 75, 95))
        tip = [
            f"median {rate(median)} ms",
            f"quartiles {rate(first)} and {rate(third)} ms",
            f"5th and 95th percentile {rate(low)} and {rate(high)} ms",
        ]
        if len(values) >= P99_SAMPLES:
            tip.append(f"99th percentile {rate(np.percentile(values, 99))} ms")
        at = (median, place)
        points.append(chart.point(model, look, at, tip=tip, across=(low, high), box=(first, third)))
    return chart.forest(points, x=_LATENCY, sides=[f"{rate(point['x'])} ms" for point in points], log=True)


def _single_images(board: pd.DataFrame, runs: pd.DataFrame) -> dict[str, SpeedRecord]:
    """Return the single-image speed records, by ranked network."""
    of_network: dict[str, Any] = dict(zip(map(str, runs["model"]), runs["speed"], strict=True))
    sizes = [size for size in runs["input_size"] if not is_absent(size)]
    models = [str(model) for model in scored_rows(board)["model"] if of_network.get(str(model))]
    records = single_image_records([of_network[model] for model in models], input_size=sizes[0] if sizes else None)
    return {model: record for model, record in zip(models, records, strict=True) if record is not None}


def _drawn_boxes(models: list[str], times: list[np.ndarray]) -> Figure:
    """Draw a box of each network's milliseconds, the first at the top."""
    figure, axes = canvas(7.0, 1.3 + 0.34 * len(models))
    drawn = axes.boxplot(
        times,
        positions=range(len(times)),
        orientation="horizontal",
        whis=(5, 95),
        showfliers=False,
        widths=0.6,
        patch_artist=True,
        medianprops={"color": INK},
        boxprops={"edgecolor": INK},
        whiskerprops={"color": INK},
        capprops={"color": INK},
    )
    for box, look in zip(drawn["boxes"], looks(models), strict=True):
        box.set(facecolor=look.color, alpha=0.7)
    for place, values in enumerate(times):
        if len(values) >= P99_SAMPLES:
            axes.plot(np.percentile(values, 99), place, marker="|", color="0.5", markersize=9)
    named_rows(axes, models)
    axes.set_xlabel(_LATENCY)
    logarithmic(axes)
    return figure


def memory(board: pd.DataFrame) -> Plot | None:
    """Draw the peak memory of inference and of training steps; None without measurements."""
    known = scored_rows(board[board[list(_BARS)].notna().any(axis=1)])
    shown = best(known)
    if shown.empty:
        return None
    bars = {name: words for name, words in _BARS.items() if shown[name].notna().any()}
    with styled():
        figure = _drawn_bars(shown, bars)
    restarts = shown["speed_restarts"].dropna()
    processes = spanned(restarts, "process", "processes") if len(restarts) else "all processes"
    drawn = sample(shown, board, known=known, those="whose memory was measured")
    caption = (
        f"Measured peak of memory{_situation(shown)}. {drawn} It is the largest of {processes}; on an accelerator what "
        "was allocated, elsewhere what the process grew by."
    )
    return Plot("memory", "Peak memory", caption, figure, chart=_memory_chart(shown, bars))


def _drawn_bars(shown: pd.DataFrame, bars: Mapping[str, str]) -> Figure:
    """Draw a panel of bars for each measure, in the networks' colours."""
    models = list(map(str, shown["model"]))
    height = 1.3 + 0.34 * len(shown)
    stacked = is_narrow()
    figure, axes = panels(
        1 if stacked else len(bars),
        height * len(bars) if stacked else height,
        rows=len(bars) if stacked else 1,
        width=7.0 if len(bars) == 1 else 11.2,
    )
    for panel, (name, words) in zip(axes, bars.items(), strict=True):
        colors = [look.color for look in looks(models)]
        panel.barh(range(len(shown)), shown[name].astype(float).fillna(0.0), height=0.6, color=colors)
        named_rows(panel, models)
        megabytes(panel)
        panel.set_xlabel(words)
        if panel is not axes[0] and not stacked:
            panel.tick_params(labelleft=False)
    return figure


def _memory_chart(shown: pd.DataFrame, bars: Mapping[str, str]) -> dict[str, Any]:
    """Return the bars as data."""
    models = list(map(str, shown["model"]))
    found = []
    for name, words in bars.items():
        known = [None if is_absent(value) else float(value) for value in shown[name]]
        points = [
            _bar(model, look, place, value)
            for place, (model, look, value) in enumerate(zip(models, looks(models), known, strict=True))
        ]
        found.append({"x": words, "points": points, "sides": [byte_count(value) for value in known]})
    return chart.bars(found, unit=" MB")


def _bar(model: str, look: Look, place: int, size: float | None) -> dict[str, Any]:
    """Return one bar as data, in megabytes."""
    megabytes = (size or 0.0) / 1e6
    tip = [byte_count(size) or "not measured"]
    return chart.point(model, look, (megabytes, place), tip=tip, across=(0.0, megabytes))


def _situation(shown: pd.DataFrame) -> str:
    """Return the settings of the inference measurement, in brackets; empty without one."""
    known = shown["speed_situation"].dropna()
    return f" (inference: {known.iloc[0]})" if len(known) else ""


def _milliseconds(record: SpeedRecord) -> np.ndarray:
    return 1000.0 * np.concatenate([np.asarray(restart.host_seconds) for restart in record.restarts])
