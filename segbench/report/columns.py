"""The columns of a ranked table: headings, what stands in their cells, and which stay when there is little room."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from segbench.report import text
from segbench.report.text import is_absent, printable


@dataclass(frozen=True)
class Column:
    """One column of a ranked table.

    Attributes:
        title: The heading, with the unit.
        show: The text of a row's cell.
        importance: Columns of small numbers stay when there is little room.
        right: Whether it is set flush right.
    """

    title: str
    show: Callable[[pd.Series[Any]], str]
    importance: int
    right: bool = True


def _fraction(name: str) -> Callable[[pd.Series[Any]], str]:
    return lambda row: text.with_spread(row[name], row[f"{name}_std"])


def _rate(name: str) -> Callable[[pd.Series[Any]], str]:
    return lambda row: text.rate(row[name], row[f"{name}_std"])


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


def _interval(row: pd.Series[Any]) -> str:
    """Return the interval of the mean IoU."""
    low, high = row["mean_iou_low"], row["mean_iou_high"]
    return "" if is_absent(low) else f"{low:.3f} to {high:.3f}"


def _ranks(row: pd.Series[Any]) -> str:
    """Return the interval of the rank."""
    best, worst = row["rank_best"], row["rank_worst"]
    if is_absent(best):
        return ""
    return str(best) if best == worst else f"{best} to {worst}"


def _same_data(row: pd.Series[Any]) -> str:
    return "" if is_absent(row["same_data"]) else "yes" if row["same_data"] else "NO"


COLUMNS = (
    Column("#", _whole("rank"), 0),
    Column("model", _word("model"), 0, right=False),
    Column("weights", _word("pretrained"), 7, right=False),
    Column("seeds", _whole("seeds"), 1),
    Column("mIoU", _fraction("mean_iou"), 0),
    Column("95 % interval", _interval, 2),
    Column("ranks", _ranks, 5),
    Column("group", _word("group"), 9, right=False),
    Column("pixel acc.", _fraction("pixel_accuracy"), 8),
    Column("mean recall", _fraction("mean_recall"), 12),
    Column("fw-IoU", _fraction("frequency_weighted_iou"), 16),
    Column("Dice", _fraction("mean_dice"), 17),
    Column("precision", _fraction("mean_precision"), 18),
    Column("img/s", _throughput, 3),
    Column("batch", _whole("throughput_batch_size"), 20),
    Column("p50 ms", _plain_rate("latency_p50_ms"), 4),
    Column("p90 ms", _plain_rate("latency_p90_ms"), 21),
    Column("memory", lambda row: text.byte_count(row["inference_memory_bytes"]), 11),
    Column("J/img", _plain_rate("joules_per_image"), 15),
    Column("step img/s", _plain_rate("training_step_images_per_second"), 22),
    Column("step memory", lambda row: text.byte_count(row["training_memory_bytes"]), 23),
    Column("Pareto", _yes("pareto"), 6, right=False),
    Column("test img/s", _rate("evaluation_images_per_second"), 6),
    Column("train img/s", _rate("training_images_per_second"), 14),
    Column("params", lambda row: text.count(row["parameters"]), 10),
    Column("MACs", lambda row: text.count(row["macs"]), 13),
    Column("activations/img", lambda row: text.byte_count(row["activation_bytes"]), 25),
    Column("weights on disk", lambda row: text.byte_count(row["weights_bytes"]), 26),
    Column("classes", _whole("averaged_classes"), 19),
    Column("same data", _same_data, 24, right=False),
)
"""All columns, as they stand from left to right. Scores are fractions of 1; ``img/s`` to ``Pareto`` were measured by
``segbench speed``, ``test img/s`` and ``train img/s`` are those of the runs, data loading included."""
