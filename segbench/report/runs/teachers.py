"""Which networks were distilled from which teacher."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd


def teacher_label(teacher: Any) -> str | None:
    """Return the label in a run's column ``teacher``; None without one."""
    return str(teacher["label"]) if isinstance(teacher, Mapping) else None


def distilled_in_words(runs: pd.DataFrame) -> str | None:
    """Return how the networks of one protocol were distilled, such as ``distilled from unet, weight 0.5``.

    None if they were not.
    """
    for teacher, recipe in zip(runs["teacher"], runs["recipe"], strict=True):
        if (label := teacher_label(teacher)) is not None:
            settings = recipe["train"]["distill"]
            return f"distilled from {label}, weight {settings['weight']:g}, temperature {settings['temperature']:g}"
    return None
