"""Formats fractions as percentages."""

from __future__ import annotations


def percent(share: float) -> str:
    """Return a fraction in percent, such as ``93 %``; ``100 %`` and ``0 %`` are used for exactly 1 and 0 only."""
    shown = f"{100 * share:.0f}"
    if share < 1 and shown == "100":
        return "over 99 %"
    return "under 1 %" if share > 0 and shown == "0" else f"{shown} %"
