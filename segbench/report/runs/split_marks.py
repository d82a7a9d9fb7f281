"""Identifies equal splits, however their files are encoded."""

from __future__ import annotations

from typing import Literal

import pandas as pd

from segbench.report.text import canonical, is_absent


def split_marks(runs: pd.DataFrame, role: Literal["test", "train"] = "test") -> list[str]:
    """Return an identifier of each run's split; an empty string if it is unknown.

    Two runs have the same where their files are the same, or decode to the same pixels, as
    ``segbench.results.data_identity`` says it.
    """
    prints = [canonical(value) for value in runs[f"{role}_fingerprint"]]
    pixels = {
        mark: str(digest)
        for mark, digest in zip(prints, runs[f"{role}_pixel_digest"], strict=True)
        if mark and not is_absent(digest)
    }
    return [pixels.get(mark, mark) for mark in prints]
