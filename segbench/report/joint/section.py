"""The section of a report on networks that several of its tables share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

import pandas as pd

from segbench.errors import StoreError
from segbench.report.blocks import Block, Bullets, Cell, Drawing, Heading, Paragraph, Table
from segbench.report.efficiency.curves import smaller_fractions
from segbench.report.figures.plot import Plot
from segbench.report.joint.figure import rank_plot
from segbench.report.joint.joint import RATIOS, Joint, JointRow, joint
from segbench.report.joint.words import caveats, how_sure, verdict
from segbench.report.runs.trials import search_in_words
from segbench.report.text import is_absent, printable, short_id

TITLE = "Over all tables"
FIRST_ALONE = "Of so many recipes, the first one has all figures."
MOST_WHOLE = 3
"""So many tables are shown with all figures."""


def joint_of(runs: pd.DataFrame) -> Joint | None:
    """Return the joint view of a report's tables; None where no two of them share two networks.

    Smaller fractions of a training split and tuned recipes are left out: sections of their own compare these.

    Args:
        runs: Rows of ``load_results``.
    """
    smaller = smaller_fractions(runs)
    kept = [not (one.protocol in smaller or _is_tuned(one.recipe)) for one in runs.itertuples()]
    try:
        return joint(runs[kept])
    except StoreError:
        return None


def _is_tuned(recipe: Any) -> bool:
    return not is_absent(recipe) and bool(search_in_words(recipe))


def told_in_brief(found: Joint | None) -> frozenset[str]:
    """Return the protocols of whose tables a report shows little: where there are many, all but the first one's."""
    if found is None or len(found.tables) <= MOST_WHOLE:
        return frozenset()
    return frozenset(found.protocols) - {found.protocols[0]}


def of_first_table(found: Joint | None, answers: Sequence[str]) -> list[str]:
    """Return answers about the first table of a joint view, with its name."""
    assert found is not None
    return [f"{printable(found.tables[0])[:1].upper()}{printable(found.tables[0])[1:]}: {answer}" for answer in answers]


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
            Cell(f"{row.mean_rank:.2g}", row.mean_rank),
            f"{row.low:.2g} to {row.high:.2g}",
            *(Cell(f"{row.profile(ratio):.0%}", row.profile(ratio)) for ratio in RATIOS),
        ]
        for row in found.rows
    ]
    return Table.of("joint", titles, rows, ":-:" + "-" * len(RATIOS))


def _place(row: JointRow, table: str) -> Cell:
    place = row.places[table]
    return Cell(f"{place.rank} ({place.mean_iou:.3f})", place.mean_iou)
