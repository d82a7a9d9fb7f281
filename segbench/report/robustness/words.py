"""Which networks the robustness figures show, and the words of their captions."""

from __future__ import annotations

from collections.abc import Sequence

from segbench.report.figures.captions import MOST_NETWORKS, spanned
from segbench.report.robustness.rows import RobustnessRow, RobustnessTable
from segbench.report.text import plural, short_id


def shown_rows(table: RobustnessTable) -> tuple[RobustnessRow, ...]:
    """Return the networks that figures show: those that do best under corruption."""
    return table.rows[:MOST_NETWORKS]


def sample(table: RobustnessTable, shown: Sequence[RobustnessRow]) -> str:
    """Return under which protocol, of how many networks, seeds and images a figure tells."""
    whole = len(table.rows)
    networks = plural(whole, "network") if len(shown) == whole else f"the best {len(shown)} of {whole} networks"
    seeds = spanned((row.seeds for row in shown), "seed")
    each = " each" if len(shown) > 1 else ""
    return f"Protocol {short_id(table.protocol)}; {networks}, n = {seeds}{each}, {table.images} test images."
