"""Which networks figures show, and the words that all captions share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from segbench.metrics.trainings import Scope
from segbench.report.text import is_absent, name_of_test_data, plural, short_id

MOST_NETWORKS = 20
"""Figures show at most this many networks, the best; captions say so."""


def best(board: pd.DataFrame, most: int | None = None) -> pd.DataFrame:
    """Return the best rows of one table, at most ``most``, by default ``MOST_NETWORKS``."""
    return scored_rows(board).head(MOST_NETWORKS if most is None else most)


def scored_rows(board: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of one table that have a score, best first; ranks are theirs if any are given."""
    return board[board["position"].notna()]


def sample(shown: pd.DataFrame, board: pd.DataFrame, *, known: pd.DataFrame | None = None, those: str = "") -> str:
    """Return a caption's sentence on protocol, test data, and numbers of networks, seeds and images.

    Args:
        shown: The rows that are drawn.
        board: All rows of the table.
        known: The rows that could be drawn; by default all that have a score.
        those: What distinguishes them, such as ``whose speed was measured``.
    """
    images = shown["test_images"].dropna()
    tested = f", {images.iloc[0]} test images" if len(images) else ""
    seeds = spanned(shown["seeds"], "seed")
    each = " each" if len(shown) > 1 else ""
    return f"{whole(board)}; {networks(shown, board, known=known, those=those)}, n = {seeds}{each}{tested}."


def whole(board: pd.DataFrame) -> str:
    """Return the table's protocol and test data."""
    return f"Protocol {short_id(board['protocol'].iloc[0])}, {name_of_test_data(board['test_data'].iloc[0])}"


def networks(shown: pd.DataFrame, board: pd.DataFrame, *, known: pd.DataFrame | None = None, those: str = "") -> str:
    """Return how many networks are drawn of how many, and which; see ``sample``."""
    scored = len(scored_rows(board))
    drawable = scored if known is None else len(known)
    if drawable == scored:
        return f"the best {len(shown)} of {scored} networks" if len(shown) < scored else plural(scored, "network")
    if len(shown) == drawable:
        return f"{len(shown)} of {scored} networks, those {those}"
    return f"the best {len(shown)} of the {drawable} networks {those} (of {scored})"


def spanned(values: Iterable[int], one: str, several: str | None = None) -> str:
    """Return whole numbers with what they count, such as ``3 seeds`` or, where they differ, ``1 to 3 seeds``."""
    found = sorted(set(values))
    number = f"{found[0]:,}" if len(found) == 1 else f"{found[0]:,} to {found[-1]:,}"
    return f"{number} {one if found == [1] else several or one + 's'}"


def spread_words(shown: pd.DataFrame, drawn: str) -> str:
    """Return what bars or bands over seeds mean."""
    several = shown["seeds"] > 1
    if not several.any():
        return "One seed: variation between trainings is not known."
    where = "" if several.all() else ", where there are several"
    return f"{drawn}: ± one sample standard deviation over seeds{where}."


def accuracy_bar(row: pd.Series[Any]) -> Any:
    """Return the bar of a mean IoU: its 95 % interval or, without one, the standard deviation over seeds."""
    low, high = row["mean_iou_low"], row["mean_iou_high"]
    if is_absent(low):
        return standard_deviation(row, "mean_iou")
    return [[max(0.0, row["mean_iou"] - low)], [max(0.0, high - row["mean_iou"])]]


def accuracy_bar_words(shown: pd.DataFrame) -> str:
    """Return what the bars of mean IoU mean."""
    if shown["mean_iou_low"].notna().any():
        over = (
            "test images and trainings"
            if shown["scope"].eq(Scope.NETWORKS).any()
            else "test images, of these weights; one seed: variation between trainings is not included"
        )
        return f"Vertical bars: 95 % intervals over {over}."
    return spread_words(shown, "Vertical bars")


def standard_deviation(row: pd.Series[Any], name: str) -> float | None:
    """Return the standard deviation of a column over seeds, if there is one."""
    value = row[f"{name}_std"]
    return None if pd.isna(value) else float(value)
