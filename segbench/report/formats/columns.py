"""The columns of a ranked table: headings, cell texts and importance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from segbench.report import text
from segbench.report.blocks import Cell
from segbench.report.runs.own_metrics import PREFIX, labels_on
from segbench.report.text import is_absent, printable
from segbench.results.wording import percent


@dataclass(frozen=True)
class Column:
    """One column of a ranked table.

    Attributes:
        title: The heading, with the unit.
        show: The text of a row's cell.
        importance: Lower is more important; narrow outputs drop the least important. See ``OVERVIEW``.
        sort: The leaderboard's column by whose numbers it is sorted; by its text where there is none.
        right: Whether it is set flush right.
    """

    title: str
    show: Callable[[pd.Series[Any]], str]
    importance: int
    sort: str | None = None
    right: bool = True

    def cell(self, row: pd.Series[Any]) -> Cell:
        """Return a row's cell."""
        value: Any = row[self.sort] if self.sort else None
        return Cell(self.show(row), None if is_absent(value) else float(value))


def _fraction(name: str) -> Callable[[pd.Series[Any]], str]:
    return lambda row: text.with_spread(row[name], row[f"{name}_std"])


def _rate(name: str) -> Callable[[pd.Series[Any]], str]:
    return lambda row: text.rate(row[name], row[f"{name}_std"])


def _run_rate(name: str) -> Callable[[pd.Series[Any]], str]:
    """Format a rate that runs recorded, marked if several runs shared the device."""

    def show(row: pd.Series[Any]) -> str:
        shown, at_once = _rate(name)(row), row["runs_at_once"]
        return f"{shown} (shared)" if shown and not is_absent(at_once) and at_once > 1 else shown

    return show


def _whole(name: str) -> Callable[[pd.Series[Any]], str]:
    return lambda row: "" if is_absent(row[name]) else str(row[name])


def _word(name: str) -> Callable[[pd.Series[Any]], str]:
    return lambda row: "" if is_absent(row[name]) else printable(row[name])


def _throughput(row: pd.Series[Any]) -> str:
    """Return images a second with half the range of the restarts."""
    if is_absent(row["throughput_images_per_second"]):
        return ""
    half_range = (row["throughput_high"] - row["throughput_low"]) / 2
    return text.rate(row["throughput_images_per_second"], half_range if row["speed_restarts"] > 1 else None)


def _plain_rate(name: str) -> Callable[[pd.Series[Any]], str]:
    return lambda row: text.rate(row[name])


def _yes(name: str) -> Callable[[pd.Series[Any]], str]:
    return lambda row: "yes" if not is_absent(row[name]) and row[name] else ""


def _interval(name: str) -> Callable[[pd.Series[Any]], str]:
    def show(row: pd.Series[Any]) -> str:
        low, high = row[f"{name}_low"], row[f"{name}_high"]
        return "" if is_absent(low) else f"{low:.3f} to {high:.3f}"

    return show


def _ranks(row: pd.Series[Any]) -> str:
    """Return the interval of the rank."""
    best, worst = row["rank_best"], row["rank_worst"]
    if is_absent(best):
        return ""
    return str(best) if best == worst else f"{best} to {worst}"


def _published(row: pd.Series[Any]) -> str:
    """Return the published mean IoU with its paper and its treatment of void pixels."""
    if is_absent(row["published_mean_iou"]):
        return ""
    return f"{row['published_mean_iou']:.3f} ({row['published_source']}, {row['published_convention']})"


def _precision(row: pd.Series[Any]) -> str:
    """Return the mean precision, and over how many classes it is taken where some are left out."""
    left_out = "" if is_absent(row["precision_over"]) else f" {row['precision_over']}"
    return f"{_fraction('mean_precision')(row)}{left_out}"


def _weights(row: pd.Series[Any]) -> str:
    """Return whether a row was pretrained and, if only part of the checkpoint fits, how much."""
    share = row["weights_share"]
    part = "" if is_absent(share) or share >= 1 else f" ({percent(share)})"
    return f"{_word('pretrained')(row)}{part}"


def _same_data(row: pd.Series[Any]) -> str:
    return "" if is_absent(row["same_data"]) else "yes" if row["same_data"] else "NO"


_OF_RUNS = ("evaluation_images_per_second", "training_images_per_second")

OVERVIEW = 12
"""Reports show columns of at most this importance at first; their pages show the others on request."""

COLUMNS = (
    Column("#", _whole("rank"), 0, "rank"),
    Column("model", _word("model"), 0, right=False),
    Column("tuned", _word("tuned"), 2, right=False),
    Column("mIoU", _fraction("mean_iou"), 0, "mean_iou"),
    Column("95 % interval", _interval("mean_iou"), 2, "mean_iou_low"),
    Column("ranks", _ranks, 14, "rank_best"),
    Column("group", _word("group"), 4, right=False),
    Column("differs in", _word("environment_differs"), 3, right=False),
    Column("weights", _weights, 13, right=False),
    Column("predicts", _word("predicts"), 5, right=False),
    Column("seeds", _whole("seeds"), 1, "seeds"),
    Column("published", _published, 30, "published_mean_iou"),
    Column("pixel acc.", _fraction("pixel_accuracy"), 8, "pixel_accuracy"),
    Column("mean recall", _fraction("mean_recall"), 9, "mean_recall"),
    Column("fw-IoU", _fraction("frequency_weighted_iou"), 16, "frequency_weighted_iou"),
    Column("Dice", _fraction("mean_dice"), 17, "mean_dice"),
    Column("precision", _precision, 18, "mean_precision"),
    Column("boundary F1", _fraction("boundary_f1"), 27, "boundary_f1"),
    Column("boundary IoU", _fraction("boundary_iou"), 28, "boundary_iou"),
    Column("ECE", _fraction("calibration_error"), 29, "calibration_error"),
    Column("img/s", _throughput, 3, "throughput_images_per_second"),
    Column("batch", _whole("throughput_batch_size"), 20, "throughput_batch_size"),
    Column("p50 ms", _plain_rate("latency_p50_ms"), 5, "latency_p50_ms"),
    Column("p90 ms", _plain_rate("latency_p90_ms"), 21, "latency_p90_ms"),
    Column("memory", lambda row: text.byte_count(row["inference_memory_bytes"]), 11, "inference_memory_bytes"),
    Column("J/img", _plain_rate("joules_per_image"), 15, "joules_per_image"),
    Column("step img/s", _plain_rate("training_step_images_per_second"), 22, "training_step_images_per_second"),
    Column("step memory", lambda row: text.byte_count(row["training_memory_bytes"]), 23, "training_memory_bytes"),
    Column("Pareto", _yes("pareto"), 13, right=False),
    Column("test img/s", _run_rate("evaluation_images_per_second"), 6, "evaluation_images_per_second"),
    Column("train img/s", _run_rate("training_images_per_second"), 14, "training_images_per_second"),
    Column("params", lambda row: text.count(row["parameters"]), 10, "parameters"),
    Column("MACs", lambda row: text.count(row["macs"]), 13, "macs"),
    Column("activations/img", lambda row: text.byte_count(row["activation_bytes"]), 25, "activation_bytes"),
    Column("weights on disk", lambda row: text.byte_count(row["weights_bytes"]), 26, "weights_bytes"),
    Column("classes", _whole("averaged_classes"), 19, "averaged_classes"),
    Column("same data", _same_data, 24, right=False),
)
"""All columns, as they stand from left to right. Scores are fractions of 1; ``img/s`` to ``Pareto`` were measured by
``segbench speed``, ``test img/s`` and ``train img/s`` are those of the runs, data loading included, and marked where
several runs at once shared a device; they are left out where speed was measured. ``differs in`` names what of a row's
environment is not that of most rows; it is left out where nothing is."""


def columns_of(board: pd.DataFrame) -> tuple[Column, ...]:
    """Return the columns of a leaderboard: ``COLUMNS`` and, behind the scores, those of the suites' own metrics.

    Where speed was measured, that is the only one: the runs' own images a second are left out.
    """
    columns: tuple[Column, ...] = COLUMNS
    if board["throughput_images_per_second"].notna().any():  # measured speed is the only one shown
        columns = tuple(column for column in COLUMNS if column.sort not in _OF_RUNS)
    elif board["runs_at_once"].gt(1).fillna(value=False).any():  # unreliable: hidden until asked for
        columns = tuple(_later(column) if column.sort in _OF_RUNS else column for column in COLUMNS)
    labels = labels_on(board)
    if not labels:
        return columns
    behind = 1 + next(index for index, column in enumerate(columns) if column.sort == "calibration_error")
    own = [column for label in labels for column in _of_metric(label)]
    return (*columns[:behind], *own, *columns[behind:])


def _later(column: Column) -> Column:
    return replace(column, importance=max(column.importance, OVERVIEW + 1))


def _of_metric(label: str) -> list[Column]:
    """Return the columns of one of the suites' own metrics: its mean and spread, and its interval."""
    name, known = f"{PREFIX}{label}", {column.title for column in COLUMNS}
    title = printable(label) if label not in known else f"{printable(label)} (own)"
    return [
        Column(title, _fraction(name), 7, name),
        Column(f"{title} 95 %", _interval(name), 31, f"{name}_low"),
    ]
