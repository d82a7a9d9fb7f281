"""Reports networks that predict only one class or never predict a labelled class, and what precision omits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from segbench.report.ranking.notes import Note
from segbench.report.text import is_absent, printable

UNPREDICTED = ("predicts_only", "never_predicted", "precision_over")
"""Text columns of the leaderboard about unpredicted classes; None if there are none."""

_ROOM = 20
"""Largest number of characters of class names in a cell, for terminals 80 columns wide."""


def unpredicted(runs: pd.DataFrame) -> dict[str, str | None]:
    """Return the columns ``UNPREDICTED`` of one network from its completed runs, one for each seed."""
    return {
        "predicts_only": ", ".join(_in_seeds([[name] for name in runs["predicts_only"] if name], len(runs))) or None,
        "never_predicted": ", ".join(_in_seeds(runs["never_predicted"], len(runs))) or None,
        "precision_over": _precision_over(list(runs["precision_classes"]), list(runs["averaged_classes"])),
    }


def in_short(runs: pd.DataFrame) -> str | None:
    """Return what one network's runs never predict in at most 32 characters, such as ``never pole, sign``."""
    only = [name for name in runs["predicts_only"] if name]
    missed = [names for names in runs["never_predicted"] if names]
    if not missed:
        return None
    if only:
        name = printable(only[0])
        text = f"{name} only" if len(set(only)) == 1 and len(name) <= _ROOM else "one class only"
        return text + _short_seeds(len(only), len(runs))
    names = list(dict.fromkeys(name for names in missed for name in names))
    listed = ", ".join(map(printable, names))
    classes = len(runs["classes"].iloc[0])
    text = listed if len(listed) <= _ROOM else f"{len(names)} of {classes} classes"
    return f"never {text}" + _short_seeds(len(missed), len(runs))


def unpredicted_notes(runs: pd.DataFrame) -> Iterable[str]:
    """Yield a sentence for each network that predicts only one class, or never predicts a labelled class."""
    for model, group in runs.groupby("model", sort=False):
        found = unpredicted(group)
        if found["predicts_only"]:
            sentence = f"{printable(model)} predicts one class only: {printable(found['predicts_only'])}."
            yield Note.about([str(model)], sentence)
        if found["never_predicted"]:
            yield Note.about(
                [str(model)],
                f"{printable(model)} never predicts classes that test labels hold: "
                f"{printable(found['never_predicted'])}. Its mean precision leaves them out "
                f"({found['precision_over']}); recall and IoU count them as 0.",
            )


def _in_seeds(names: Iterable[Sequence[str]], seeds: int) -> list[str]:
    """Return class names, each with its number of seeds if not all, such as ``pole (2 of 3 seeds)``."""
    counts = Counter(name for own in names for name in own)
    return [name if count == seeds else f"{name} ({count} of {seeds} seeds)" for name, count in counts.items()]


def _short_seeds(count: int, seeds: int) -> str:
    return "" if count == seeds else f", {count}/{seeds} seeds"


def _precision_over(averaged: Sequence[Any], all_classes: Sequence[Any]) -> str | None:
    """Return how many of the labelled or predicted classes mean precision is taken over; None if all."""
    known = [(int(part), int(whole)) for part, whole in zip(averaged, all_classes, strict=True) if not is_absent(part)]
    if all(part == whole for part, whole in known):
        return None
    parts = sorted({part for part, _ in known})
    shown = str(parts[0]) if len(parts) == 1 else f"{parts[0]} to {parts[-1]}"
    return f"over {shown} of {max(whole for _, whole in known)} classes"
