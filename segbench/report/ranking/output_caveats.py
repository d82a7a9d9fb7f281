"""Caveats about outputs of external networks (probabilities, auxiliary outputs), and about padding."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from segbench.report.text import is_absent, printable


def output_notes(runs: pd.DataFrame) -> Iterator[str]:
    """Yield which rows were trained with auxiliary losses, and which outputs are unusual."""
    yield from _padding_notes(runs)
    told: dict[str, None] = {}
    trained: dict[str, str] = {}
    for model, outputs, recipe in zip(runs["model"], runs["outputs"], runs["recipe"], strict=True):
        if is_absent(outputs):
            continue
        if outputs.trained_auxiliary:
            trained[printable(model)] = printable(outputs.trained_auxiliary)
        notes = outputs.notes(trained=bool((recipe or {}).get("train")))
        told |= dict.fromkeys(f"{printable(model)} {printable(note)}." for note in notes)
    weighs = any(((recipe or {}).get("train") or {}).get("auxiliary") is not None for recipe in runs["recipe"])
    if weighs and not trained:
        yield "no network has auxiliary outputs that train.auxiliary could weigh."
    elif trained:
        rows = ", ".join(f"{model} ({weights})" for model, weights in trained.items())
        others = "" if len(trained) == runs["model"].nunique() else "; the other rows have none, or none with a weight"
        yield f"the losses of auxiliary outputs, with their weights, were added in training: {rows}{others}."
    yield from told


def _padding_notes(runs: pd.DataFrame) -> Iterator[str]:
    """Yield which rows used padded images."""
    multiples = zip(runs["model"], runs["options"], strict=True)
    found = {printable(model): options["pad_to"] for model, options in multiples if (options or {}).get("pad_to")}
    if found:
        rows = ", ".join(f"{model} ({multiple})" for model, multiple in found.items())
        yield (
            f"images were padded to a multiple of what stands behind the row: {rows}; its multiply-adds, memory and "
            "times are those of the padded images."
        )
