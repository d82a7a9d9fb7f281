r"""A leaderboard as LaTeX tables, for papers: needs ``\usepackage{booktabs}``."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pandas as pd

from segbench.report.formats.leaderboard import filled_columns
from segbench.report.ranking.tables import RankedTable, tables_of
from segbench.report.text import printable, short_id

MOST_IMPORTANCE = 12
"""LaTeX tables omit less important columns than this: a page is narrow."""

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",  # after the end of a row it would begin an option
    "±": r"$\pm$",
    **{sign: f"\\{sign}" for sign in "&%$#_"},
}
_ANY_SPECIAL = re.compile("|".join(map(re.escape, _SPECIAL)))
_UNSAFE = re.compile("[^A-Za-z0-9]+")


def to_latex(board: pd.DataFrame) -> str:
    """Return a leaderboard's ranked tables as LaTeX ``table`` environments with booktabs rules."""
    tables = [_table(table) for table in tables_of(board) if len(table.scored)]
    return "\n".join(tables) if tables else "% no ranked rows\n"


def escape_latex(text: str) -> str:
    """Return text that LaTeX sets literally."""
    return _ANY_SPECIAL.sub(lambda found: _SPECIAL[found[0]], printable(text))


def label_of(table: RankedTable) -> str:
    """Return a table's LaTeX label, in characters that need no escape."""
    ids = [table.protocol, *([table.test_data] if table.rivals else [])]
    return "-".join(["segbench", *(_UNSAFE.sub("-", short_id(part) or "unknown") for part in ids)])


def _table(table: RankedTable) -> str:
    columns = [column for column in filled_columns(table.scored) if column.importance <= MOST_IMPORTANCE]
    rows = [[escape_latex(column.show(row)) for column in columns] for _, row in table.scored.iterrows()]
    alignment = "".join("r" if column.right else "l" for column in columns)
    caption = " ".join(escape_latex(text) for text in (f"{table.heading}.", table.certainty) if text)
    titles = [escape_latex(column.title) for column in columns]
    return table_environment(titles, rows, alignment, caption=caption, label=label_of(table))


def table_environment(
    titles: Sequence[str], rows: Sequence[Sequence[str]], alignment: str, *, caption: str, label: str
) -> str:
    """Return cells that are escaped already as a ``table`` environment with booktabs rules."""
    head, *lines = (" & ".join(cells) + r" \\" for cells in (titles, *rows))
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{caption}}}",
            rf"\label{{tab:{label}}}",
            rf"\begin{{tabular}}{{{alignment}}}",
            r"\toprule",
            head,
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )
