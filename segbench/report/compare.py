"""Two sets of stored runs against each other, network by network: what changed, and whether it is more than chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from segbench.errors import StoreError
from segbench.metrics.resampling import draw, resamples_for
from segbench.metrics.uncertainty import Comparison, compare_all, holm
from segbench.report.certainty import LEAST_IMAGES
from segbench.report.figures.classes import class_iou
from segbench.report.measured import speed_figures
from segbench.report.networks import distinguish, once_each
from segbench.report.protocols import Difference, protocol_differences
from segbench.report.runs import SCORES
from segbench.report.text import canonical, is_absent
from segbench.results.record import Status

COLUMNS = (
    *("first", "second", "score", "first_value", "second_value", "difference", "low", "high", "better", "p_value"),
    *("first_seeds", "second_seeds", "speed_ratio", "note"),
)
"""Columns of what ``compare`` finds: scores are fractions of 1; ``difference`` is second minus first, with its 95 %
interval in ``low`` and ``high``; ``better`` is the probability that the second is better; ``p_value`` is that of no
difference, Holm-adjusted over networks; ``speed_ratio`` is images a second, second over first; ``note`` says why there
is no interval."""


@dataclass(frozen=True, eq=False)
class Compared:
    """What two sets of runs differ in.

    Attributes:
        networks: One row a network that both have, by mean IoU, with the columns ``COLUMNS``.
        scores: Where each side has one network: one row a score, the same columns.
        classes: Where each side has one network: IoU by class, ``first``, ``second`` and ``difference``.
        recipe: The keys in which the protocols differ.
        only_first: Networks that only the first has.
        only_second: Networks that only the second has.
    """

    networks: pd.DataFrame
    scores: pd.DataFrame
    classes: pd.DataFrame
    recipe: list[Difference]
    only_first: list[str]
    only_second: list[str]


@dataclass(frozen=True, eq=False)
class Side:
    """One network of one set: its completed runs, one for each seed."""

    model: str
    runs: pd.DataFrame

    def mean(self, score: str) -> float:
        """Return the mean of a score over seeds."""
        return float(self.runs[score].mean())

    @property
    def counts(self) -> list[Any]:
        """The counts of every image, by seed."""
        return list(self.runs["image_counts"])

    @property
    def tested_on(self) -> set[str]:
        """Digests and names of what was tested on."""
        pairs = zip(self.runs["test_digest"], self.runs["image_names"], strict=True)
        return {canonical([digest, names]) for digest, names in pairs}


def compare(first: pd.DataFrame, second: pd.DataFrame) -> Compared:
    """Compare the networks of two sets of runs.

    Networks are paired by name; where each set holds one network only, these two are, whatever they are called.

    Args:
        first: Rows of ``load_results``.
        second: Rows of ``load_results``.

    Raises:
        StoreError: A set holds no completed run, a network under several protocols, or no network is in both.
    """
    sides = [_sides(runs, which) for runs, which in ((first, "first"), (second, "second"))]
    pairs = _paired(*sides)
    rows = [_row(one, other, "mean_iou") for one, other in pairs]
    adjusted = holm([row["p_value"] for row in rows])
    networks = [row | {"p_value": p_value} for row, p_value in zip(rows, adjusted, strict=True)]
    single = pairs[0] if len(sides[0]) == len(sides[1]) == 1 else None
    names = [{one.model for one, _ in pairs}, {other.model for _, other in pairs}]
    return Compared(
        networks=_frame(networks),
        scores=_frame([_row(*single, score) for score in SCORES] if single else []),
        classes=_classes(*single) if single else pd.DataFrame(columns=["first", "second", "difference"]),
        recipe=protocol_differences(pd.concat([first, second], ignore_index=True)),
        only_first=[model for model in sides[0] if model not in names[0]],
        only_second=[model for model in sides[1] if model not in names[1]],
    )


def _sides(runs: pd.DataFrame, which: str) -> dict[str, Side]:
    """Return the networks of one set by name.

    Raises:
        StoreError: There is none, or one stands under several protocols.
    """
    told_apart = distinguish(runs)
    completed = once_each(told_apart[told_apart["status"] == Status.COMPLETED])
    if completed.empty:
        raise StoreError(f"the {which} holds no completed run; there is nothing to compare")
    found = {}
    for model, group in completed.groupby("model", sort=False):
        if group["protocol"].nunique() > 1:
            raise StoreError(f"the {which} holds {model} under several protocols; give the folders of single runs")
        found[str(model)] = Side(str(model), group)
    return found


def _paired(first: dict[str, Side], second: dict[str, Side]) -> list[tuple[Side, Side]]:
    """Return the networks that both sets have.

    Raises:
        StoreError: There is none.
    """
    if len(first) == len(second) == 1:
        return [(next(iter(first.values())), next(iter(second.values())))]
    pairs = [(side, second[model]) for model, side in first.items() if model in second]
    if not pairs:
        raise StoreError(f"no network is in both: {', '.join(first)} | {', '.join(second)}")
    return pairs


def _row(one: Side, other: Side, score: str) -> dict[str, Any]:
    values = one.mean(score), other.mean(score)
    note = _why_not_paired(one, other)
    found = None if note else _compared(one, other, score)
    return {
        "first": one.model,
        "second": other.model,
        "score": score,
        "first_value": values[0],
        "second_value": values[1],
        "difference": values[1] - values[0],
        "low": found.interval.low if found else None,
        "high": found.interval.high if found else None,
        "better": found.better if found else None,
        "p_value": found.p_value if found else np.nan,
        "first_seeds": len(one.runs),
        "second_seeds": len(other.runs),
        "speed_ratio": _speed_ratio(one, other),
        "note": note,
    }


def _why_not_paired(one: Side, other: Side) -> str | None:
    """Return why the two cannot be compared image by image; None when they can."""
    if len(one.tested_on | other.tested_on) > 1:
        return "not tested on the same data"
    if len(one.runs["image_names"].iloc[0]) < LEAST_IMAGES:
        return f"fewer than {LEAST_IMAGES} test images"
    return None


def _compared(one: Side, other: Side, score: str) -> Comparison:
    """Return the second against the first, on the same resampled images."""
    resamples = resamples_for(len(one.runs) + len(other.runs))
    draws = draw([other.counts, one.counts], resamples=resamples)[score]
    return compare_all([other.mean(score), one.mean(score)], draws)[0]


def _speed_ratio(one: Side, other: Side) -> float | None:
    """Return images a second, second over first, measured in one situation on one machine; None where they were not."""
    sizes = [size for size in one.runs["input_size"] if not is_absent(size)]
    figures = speed_figures(
        [one.runs["speed"].iloc[0], other.runs["speed"].iloc[0]], input_size=sizes[0] if sizes else None
    )
    rates = [figure["throughput_images_per_second"] for figure in figures]
    return float(rates[1] / rates[0]) if all(rates) else None


def _classes(one: Side, other: Side) -> pd.DataFrame:
    first, second = (class_iou(side.runs).iloc[0] for side in (one, other))
    frame = pd.DataFrame({"first": first, "second": second})
    return frame.assign(difference=frame["second"] - frame["first"])


def _frame(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(COLUMNS))
