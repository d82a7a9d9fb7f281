"""The section of a report on networks that several of its tables share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from segbench.errors import StoreError
from segbench.report.blocks import Block, Bullets, Cell, Drawing, Heading, Paragraph, Table
from segbench.report.figures.plot import Plot
from segbench.report.joint.figure import rank_plot
from segbench.report.joint.joint import RATIOS, Joint, JointRow, joint
from segbench.report.joint.words import caveats, how_sure, verdict
from segbench.report.ranking.ranking import Ranking
from segbench.report.text import short_id

TITLE = "Over several tables"
FIRST_ALONE = "Of the many recipes of a suite, the first one has all figures."
MOST_WHOLE = 3
"""Up to so many recipes of a suite are shown with all figures."""


def joint_of(ranking: Ranking) -> Joint | None:
    """Return the joint view of a report's tables; None where no two of them share two networks."""
    try:
        return joint(ranking)
    except StoreError:
        return None


def told_in_brief(found: Joint | None) -> frozenset[str]:
    """Return the protocols of whose tables a report shows little: of a suite's many recipes, all but the first one."""
    if found is None:
        return frozenset()
    pairs = [
        *zip(found.suites, found.protocols, strict=True),
        *((table.suite, table.protocol) for table in found.incomplete),
    ]
    recipes = Counter(suite for suite, _ in pairs)
    firsts = set(dict(reversed(pairs)).values())
    return frozenset(protocol for suite, protocol in pairs if recipes[suite] > MOST_WHOLE) - firsts


def joint_section(found: Joint | None, draw: Callable[[Plot, str], Drawing]) -> list[Block]:
    """Return what is known of networks over several tables; nothing without any.

    Args:
        found: The joint view.
        draw: Writes a figure, given whose it is.
    """
    if found is None:
        return []
    notes = tuple(caveats(found))
    return [
        Heading(TITLE, anchor="joint", link=TITLE),
        Paragraph.of(verdict(found), lead=True),
        Paragraph.of(how_sure(found)),
        replace(draw(rank_plot(found), short_id(found.protocols[0])), level=3),
        *([Bullets("What is left out or open:", notes)] if notes else []),
        ranks(found),
        summary(found),
    ]


def joint_facts(found: Joint) -> dict[str, Any]:
    """Return the same for programs."""
    return {**asdict(found), "verdict": verdict(found)}


def ranks(found: Joint) -> Table:
    """Return the rank and the mean IoU of each network in each table, a row for a table."""
    titles = ["table", *(row.label for row in found.rows)]
    rows: list[list[Cell | str]] = [[name, *(_place(row, name) for row in found.rows)] for name in found.tables]
    return Table.of("joint-ranks", titles, rows, ":" + "-" * len(found.rows))


def summary(found: Joint) -> Table:
    """Return each network's mean rank, and in how many tables it comes near to the best."""
    titles = ["network", "mean rank", "left open", *(f"within {1 - ratio:.0%}" for ratio in RATIOS)]
    rows: list[list[Cell | str]] = [
        [
            row.label,
            Cell(f"{row.mean_rank:.1f}", row.mean_rank),
            f"{row.low:.1f} to {row.high:.1f}",
            *(Cell(f"{row.profile(ratio):.0%}", row.profile(ratio)) for ratio in RATIOS),
        ]
        for row in found.rows
    ]
    return Table.of("joint", titles, rows, ":-:" + "-" * len(RATIOS))


def _place(row: JointRow, table: str) -> Cell:
    place = row.places[table]
    return Cell(f"{place.rank} ({place.mean_iou:.3f})", place.rank)
