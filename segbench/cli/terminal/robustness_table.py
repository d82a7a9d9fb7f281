"""Shows the scores of networks under corruption and on other data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from segbench.cli.terminal.output import tell, write_json, write_table

if TYPE_CHECKING:
    from segbench.report.robustness.rows import RobustnessTable


def show(folder: Path, *, as_json: bool) -> None:
    """Write the robustness tables of a suite's folder, best network under corruption first.

    Raises:
        StoreError: The folder does not exist.
    """
    from segbench.report.robustness.load import load_retests
    from segbench.report.robustness.table import robustness_tables

    found = load_retests(folder)
    tables = robustness_tables(found)
    if as_json:
        write_json([table.facts() for table in tables])
        return
    for table in tables:
        _show(table)
    for problem in found.problems:
        tell(f"note: {problem}")


def _show(table: RobustnessTable) -> None:
    from segbench.report.robustness.cells import TEXT_COLUMNS, columns_of

    columns = {title: [cell.text for cell in cells] for title, cells in columns_of(table).items()}
    rows = list(zip(*columns.values(), strict=True))
    write_table(list(columns), rows, right=[title for title in columns if title not in TEXT_COLUMNS], whole=["model"])
    for row in table.rows:
        for condition, reason in row.failures.items():
            tell(f"note: {row.label}, {condition}: {reason}")
    if table.corruptions:
        tell(f"{table.images} test images. {table.verdict}")
