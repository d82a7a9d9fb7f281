"""Shows how networks do in other runtimes and forms."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from segbench.cli.terminal.output import tell, write_json, write_table

if TYPE_CHECKING:
    from segbench.report.deployment.rows import DeploymentTable


def show(folder: Path, *, as_json: bool) -> None:
    """Write the deployment tables of a suite's folder.

    Raises:
        StoreError: The folder does not exist.
    """
    from segbench.report.deployment.load import load_deployments
    from segbench.report.deployment.table import deployment_tables

    found = load_deployments(folder)
    tables = deployment_tables(found)
    if as_json:
        write_json([table.facts() for table in tables])
        return
    for table in tables:
        _show(table)
    for problem in found.problems:
        tell(f"note: {problem}")


def _show(table: DeploymentTable) -> None:
    from segbench.report.deployment.cells import TEXT_COLUMNS, columns_of, reasons_of

    columns = {title: [cell.text for cell in cells] for title, cells in columns_of(table).items()}
    rows = list(zip(*columns.values(), strict=True))
    right = [title for title in columns if title not in TEXT_COLUMNS]
    write_table(list(columns), rows, right=right, whole=["model", "target"])
    for reason in reasons_of(table):
        tell(f"note: {reason}")
    device = "" if table.device == "cpu" else f" on {table.device}"
    tell(f"{table.images} test images{device}. {' '.join(table.verdicts)}".strip())
