"""Formats fractions as percentages, and lists in words."""

from __future__ import annotations

from collections.abc import Iterable


def percent(share: float) -> str:
    """Return a fraction in percent, such as ``93 %``; ``100 %`` and ``0 %`` are used for exactly 1 and 0 only."""
    shown = f"{100 * share:.0f}"
    if share < 1 and shown == "100":
        return "over 99 %"
    return "under 1 %" if share > 0 and shown == "0" else f"{shown} %"


def joined(values: Iterable[object]) -> str:
    """Return values with commas and an "and", such as ``a, b and c``."""
    *others, last = map(str, values)
    return f"{', '.join(others)} and {last}" if others else last
