"""Caveats about rows that were distilled from a teacher."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from segbench.report.runs.teachers import teacher_label
from segbench.report.text import printable


def teacher_notes(runs: pd.DataFrame) -> Iterator[str]:
    """Yield which network taught the rows of a table, and what their scores may be compared with."""
    labels = [teacher_label(teacher) for teacher in runs["teacher"]]
    pairs = dict.fromkeys((model, label) for model, label in zip(runs["model"], labels, strict=True) if label)
    if pairs:
        named = ", ".join(f"{printable(model)} from {printable(label)}" for model, label in pairs)
        yield (
            f"distilled, which is trained on the outputs of a trained network beside the labels: {named}. A score "
            "says what a network learned from labels and this teacher; what distillation is worth is its difference "
            "to the same network with the same seeds and no teacher."
        )
