"""The command about networks that were trained on fewer images: efficiency."""

from __future__ import annotations

from typing import Annotated

import typer

from segbench.cli.support.options import AsJson, StoredResults
from segbench.cli.terminal.output import write_json
from segbench.errors import UsageError


def efficiency(
    results: StoredResults,
    *,
    scores: Annotated[
        list[float] | None,
        typer.Option(
            "--score", metavar="S", help="Show the images that are needed to reach it, such as 0.8; may be repeated."
        ),
    ] = None,
    class_name: Annotated[
        str | None, typer.Option("--class", metavar="NAME", help="Score the IoU of this class in place of mean IoU.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show how networks do with fewer training images.

    For suites that vary dataset.fraction: scores by number of images, the images that are needed to reach a score, and
    where the order of two networks turns round. A crossing is told where both sides are told apart.
    """
    from segbench.cli.terminal.efficiency_table import show
    from segbench.report.document.efficiency import efficiency_facts
    from segbench.report.efficiency.table import NOTHING_VARIES, efficiency_tables
    from segbench.report.runs.load import load_results

    tables = efficiency_tables(load_results(*results), scores=scores or (), class_name=class_name)
    if not tables:
        raise UsageError(f"{', '.join(map(str, results))}: {NOTHING_VARIES}")
    if as_json:
        write_json(efficiency_facts(tables))
        return
    for place, table in enumerate(tables):
        show(table, first=place == 0)
