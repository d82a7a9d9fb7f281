"""Shows tables of further tests of trained networks: robustness and deployments."""

from __future__ import annotations

from collections.abc import Sequence

from segbench.cli.terminal.output import tell, write_json, write_table
from segbench.report.further_tests import ShownTable


def show_tables(tables: Sequence[ShownTable], problems: Sequence[str], *, as_json: bool) -> None:
    """Write tables with what is missing from them and what follows from them.

    Args:
        tables: The tables.
        problems: What could not be read.
        as_json: Whether to write JSON instead.
    """
    if as_json:
        write_json([table.facts for table in tables])
        return
    for table in tables:
        right = [title for title in table.titles if title not in table.words]
        write_table(table.titles, [[cell.text for cell in row] for row in table.rows], right=right, whole=table.whole)
        for reason in table.reasons:
            tell(f"note: {reason}")
        if table.ending:
            tell(table.ending)
    for problem in problems:
        tell(f"note: {problem}")
