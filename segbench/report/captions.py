"""The words under figures: what is drawn, of how many, under which protocol and with which spread."""

from __future__ import annotations

import pandas as pd

from segbench.report.text import name_of_test_data, plural, short_id


def caption_accuracy(shown: pd.DataFrame, board: pd.DataFrame) -> str:
    """Return the words under the figure of accuracy against throughput."""
    return (
        f"Mean IoU against images a second in evaluation, data loading included. {_sample(shown, board)} "
        f"Hollow marks: pretrained weights. {_spread_words(shown, 'Bars')}"
    )


def caption_throughput(shown: pd.DataFrame, board: pd.DataFrame) -> str:
    """Return the words under the figure of accuracy against measured throughput."""
    restarts = sorted(set(shown["speed_restarts"]))
    number = str(restarts[0]) if len(restarts) == 1 else f"{restarts[0]} to {restarts[-1]}"
    return (
        f"Mean IoU against measured throughput ({shown['speed_situation'].iloc[0]}; the fastest batch measured; median "
        f"of {number} processes, horizontal bars: their range). {_sample(shown, board)} Hollow marks: pretrained "
        "weights. Grey line: the Pareto front, networks that no other one beats in both. "
        f"{_spread_words(shown, 'Vertical bars')}"
    )


def caption_learning(shown: pd.DataFrame, board: pd.DataFrame) -> str:
    """Return the words under the learning curves."""
    return f"Learning curves, mean over seeds. {_sample(shown, board)} {_spread_words(shown, 'Bands')}"


def caption_classes(shown: pd.DataFrame, board: pd.DataFrame) -> str:
    """Return the words under the heat map of classes."""
    spread = (shown["seeds"] > 1).any()
    return (
        f"IoU of each class on the test split, mean over seeds. {_sample(shown, board)} "
        + ("The spread over seeds is not drawn. " if spread else "With one seed, no spread is known. ")
        + "Grey: the class is in no label and no prediction."
    )


def _sample(shown: pd.DataFrame, board: pd.DataFrame) -> str:
    seeds = sorted(set(shown["seeds"]))
    number = str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    ranked = int(board["rank"].notna().sum())
    best = f"the best {len(shown)} of {ranked} networks" if ranked > len(shown) else plural(len(shown), "network")
    images = shown["test_images"].dropna()
    tested = f", {images.iloc[0]} test images" if len(images) else ""
    noun = "seed" if number == "1" else "seeds"
    each = " each" if len(shown) > 1 else ""
    whole = f"Protocol {short_id(board['protocol'].iloc[0])}, {name_of_test_data(board['test_data'].iloc[0])}"
    return f"{whole}; {best}, n = {number} {noun}{each}{tested}."


def _spread_words(shown: pd.DataFrame, drawn: str) -> str:
    if (shown["seeds"] > 1).any():
        return f"{drawn}: ± one sample standard deviation over seeds."
    return "With one seed, no spread is known."
