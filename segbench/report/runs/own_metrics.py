"""A suite's custom metrics: recomputed from the stored confusion matrices if their module is importable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray

from segbench.config.component import MetricEntry
from segbench.errors import UsageError
from segbench.metrics.foreign import Metric, as_metric
from segbench.metrics.resampling import ImageSpread, spread_of_values, weights_of
from segbench.metrics.trainings import estimate, estimate_weights
from segbench.metrics.uncertainty import plain_intervals
from segbench.registry import METRICS
from segbench.report.runs.folds import matrices_of
from segbench.report.text import canonical, printable
from segbench.results.store import SUITE_FILE

PREFIX = "metric_"
"""What the columns of own metrics begin with: ``metric_<label>``, ``…_std``, ``…_low``, ``…_high``."""
RESAMPLES = 1_000
"""Resamples of the images: each calls a function in Python for every run, where built-in scores are one product."""
_CHUNK = 100


@dataclass(frozen=True)
class OwnMetrics:
    """The metrics that the suites of some results name.

    Attributes:
        metrics: Metrics that can be computed here, by label.
        problems: One sentence for each metric that cannot.
    """

    metrics: dict[str, Metric] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    def scores(self, confusion: NDArray[np.int64]) -> dict[str, Any]:
        """Return the columns of one run: its ``own_metrics``, those by class, and what went wrong."""
        values: dict[str, float] = {}
        by_class: dict[str, tuple[float, ...]] = {}
        problems: list[str] = []
        for label, metric in self.metrics.items():
            try:
                found = metric(confusion)
            except UsageError as error:
                problems.append(f"metric {printable(label)} is left out of a row: {error}")
                continue
            values[label] = found.mean
            if found.by_class is not None:
                by_class[label] = tuple(found.by_class.tolist())
        return {
            "own_metrics": values,
            "own_class_metrics": by_class,
            "metric_problems": (*self.problems, *problems),
        }


def find_metrics(suites: Iterable[Path]) -> OwnMetrics:
    """Return the metrics that stored suites name; one that is missing becomes a problem, not an error."""
    metrics: dict[str, Metric] = {}
    definitions: dict[str, str] = {}
    problems: list[str] = []
    for entry in (entry for folder in suites for entry in _entries(folder, problems)):
        definition = canonical([entry.name, entry.options])
        if definitions.setdefault(entry.label, definition) != definition:
            problems.append(f"several suites have a metric {printable(entry.label)}: that of the first is shown")
        if entry.label in metrics:
            continue
        try:
            metrics[entry.label] = as_metric(entry.name, METRICS.create(entry.name, **entry.options))
        except UsageError as error:
            problems.append(f"metric {printable(entry.label)} is left out: {error}")
    return OwnMetrics(metrics, tuple(dict.fromkeys(problems)))


def _entries(folder: Path, problems: list[str]) -> list[MetricEntry]:
    try:
        document = yaml.safe_load((folder / SUITE_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return []
    written = document.get("metrics") if isinstance(document, Mapping) else None
    entries = []
    for given in written if isinstance(written, list) else []:
        try:
            entries.append(MetricEntry.model_validate(given))
        except ValueError as error:
            name = given.get("label", given.get("name")) if isinstance(given, Mapping) else given
            reason = " ".join(str(error).split("\n")[2:3]).strip() or str(error)
            problems.append(f"metric {printable(str(name))} is left out: {reason}")
    return entries


def labels_of(runs: pd.DataFrame) -> list[str]:
    """Return the labels of the metrics that any run has a value of."""
    return list(
        dict.fromkeys(label for values in runs["own_metrics"] if isinstance(values, Mapping) for label in values)
    )


def board_columns(labels: Iterable[str]) -> list[str]:
    """Return the columns of a leaderboard for some metrics."""
    return [f"{PREFIX}{label}{end}" for label in labels for end in ("", "_std", "_low", "_high")]


def labels_on(board: pd.DataFrame) -> list[str]:
    """Return the labels of the metrics that a leaderboard has columns for."""
    known = set(map(str, board.columns))
    found = [name.removeprefix(PREFIX) for name in map(str, board.columns) if name.startswith(PREFIX)]
    return [label for label in found if set(board_columns([label])) <= known]


def summary(runs: pd.DataFrame, labels: Iterable[str]) -> dict[str, float]:
    """Return means over the seeds of one network, and their standard deviations; NaN where a seed lacks the metric."""
    found: dict[str, float] = {}
    for label in labels:
        values = pd.Series([dict(own or {}).get(label, np.nan) for own in runs["own_metrics"]], dtype="float64")
        found[f"{PREFIX}{label}"] = float(values.mean(skipna=False))
        found[f"{PREFIX}{label}_std"] = float(values.std(ddof=1, skipna=False))
    return found


def bounds(networks: Sequence[pd.DataFrame], metrics: Mapping[str, Metric], *, trained: bool) -> list[dict[str, float]]:
    """Return the 95 % intervals of every metric, by network, from the same resampling as that of the scores.

    Args:
        networks: The runs of each network, all tested on the same images in the same order.
        metrics: By label.
        trained: Whether there was any training.
    """
    runs: list[Any] = [run for network in networks for run in network.itertuples()]
    groups = next((run.image_groups for run in runs if isinstance(run.image_groups, tuple)), None)
    values = np.stack([_resampled(run, metrics, groups) for run in runs], axis=1)
    seeds, known = [len(network) for network in networks], estimate if trained else estimate_weights
    rows: list[dict[str, float]] = [{} for _ in networks]
    for index, label in enumerate(metrics):
        scores = np.array([dict(run.own_metrics).get(label, np.nan) for run in runs], dtype=np.float64)
        units = len(set(groups)) if groups is not None else len(runs[0].image_names)
        spread: ImageSpread = spread_of_values(scores, values[:, :, index], units=units)
        for row, (low, high) in zip(rows, plain_intervals(known(spread, seeds)), strict=True):
            row |= {f"{PREFIX}{label}_low": low, f"{PREFIX}{label}_high": high}
    return rows


def _resampled(run: Any, metrics: Mapping[str, Metric], groups: Sequence[str] | None) -> NDArray[np.float64]:
    """Return every metric of one run in every resample, (B, M); NaN where it cannot be computed."""
    matrices = matrices_of(run).matrices
    classes = matrices.shape[1]
    flat = matrices.reshape(len(matrices), -1)
    if groups is not None:
        place = {name: index for index, name in enumerate(dict.fromkeys(groups))}
        summed = np.zeros((len(place), flat.shape[1]), dtype=np.int64)
        np.add.at(summed, [place[group] for group in groups], flat)
        flat = summed
    rows = [
        [_value(metric, total.reshape(classes, classes)) for metric in metrics.values()]
        for weights in weights_of(len(flat), RESAMPLES, chunk=_CHUNK)
        for total in np.rint(weights @ flat.astype(np.float64)).astype(np.int64)
    ]
    return np.array(rows, dtype=np.float64)


def _value(metric: Metric, matrix: NDArray[np.int64]) -> float:
    try:
        return metric(matrix).mean
    except UsageError:
        return float("nan")
