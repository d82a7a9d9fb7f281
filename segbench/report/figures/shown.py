"""Which networks figures show, and the words that all captions share."""

from __future__ import annotations

from typing import Any

import pandas as pd

from segbench.report.text import is_absent, name_of_test_data, plural, short_id

MOST_NETWORKS = 20
"""Figures show at most so many networks, the best; their captions say so."""


def best(board: pd.DataFrame, most: int | None = None) -> pd.DataFrame:
    """Return the best rows of one table, at most ``most``, by default ``MOST_NETWORKS``."""
    return board[board["rank"].notna()].head(MOST_NETWORKS if most is None else most)


def sample(shown: pd.DataFrame, board: pd.DataFrame) -> str:
    """Return under which protocol, of how many networks, seeds and images a figure tells."""
    seeds = sorted(set(shown["seeds"]))
    number = str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    ranked = int(board["rank"].notna().sum())
    networks = f"the best {len(shown)} of {ranked} networks" if ranked > len(shown) else plural(len(shown), "network")
    images = shown["test_images"].dropna()
    tested = f", {images.iloc[0]} test images" if len(images) else ""
    noun = "seed" if number == "1" else "seeds"
    each = " each" if len(shown) > 1 else ""
    whole = f"Protocol {short_id(board['protocol'].iloc[0])}, {name_of_test_data(board['test_data'].iloc[0])}"
    return f"{whole}; {networks}, n = {number} {noun}{each}{tested}."


def spread_words(shown: pd.DataFrame, drawn: str) -> str:
    """Return what bars or bands over seeds mean."""
    if (shown["seeds"] > 1).any():
        return f"{drawn}: ± one sample standard deviation over seeds."
    return "With one seed, no spread is known."


def accuracy_bar(row: pd.Series[Any]) -> Any:
    """Return the bar of a mean IoU: its 95 % interval or, without one, the standard deviation over seeds."""
    low, high = row["mean_iou_low"], row["mean_iou_high"]
    if is_absent(low):
        return standard_deviation(row, "mean_iou")
    return [[max(0.0, row["mean_iou"] - low)], [max(0.0, high - row["mean_iou"])]]


def accuracy_bar_words(shown: pd.DataFrame) -> str:
    """Return what the bars of mean IoU mean."""
    if shown["mean_iou_low"].notna().any():
        over = "images and seeds" if (shown["seeds"] > 1).all() else "images; with one seed, its spread is not in them"
        return f"Vertical bars: 95 % intervals over {over}."
    return spread_words(shown, "Vertical bars")


def standard_deviation(row: pd.Series[Any], name: str) -> float | None:
    """Return the standard deviation of a column over seeds, if there is one."""
    value = row[f"{name}_std"]
    return None if pd.isna(value) else float(value)
