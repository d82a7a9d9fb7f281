"""Commands about results: the leaderboard."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segbench.cli.output import tell

if TYPE_CHECKING:
    import pandas as pd

    from segbench.report.ranking import Ranking


class Format(StrEnum):
    """How a leaderboard is written."""

    TABLE = "table"
    MARKDOWN = "markdown"
    CSV = "csv"
    JSON = "json"


def leaderboard(
    results: Annotated[
        list[Path],
        typer.Argument(metavar="RESULTS", help="Folders of results: of all suites, of one, or of single runs."),
    ],
    *,
    form: Annotated[
        Format, typer.Option("--format", metavar="FORMAT", help=f"How to write it: {', '.join(Format)}.")
    ] = Format.TABLE,
    convention: Annotated[
        str | None,
        typer.Option(
            "--convention", metavar="NAME|all", help="Score as another tool would: mmsegmentation, smp-macro, … or all."
        ),
    ] = None,
    reports: Annotated[
        Path | None,
        typer.Option("--reports", metavar="DIR", help="Also write the whole report, with figures, into this folder."),
    ] = None,
) -> None:
    """Rank stored runs, each against those of equal protocol."""
    from segbench.report.ranking import rank

    ranking = rank(*results)
    if convention is None:
        show(ranking, form)
    else:
        from segbench.cli.conventions import show_conventions

        show_conventions(ranking.runs, convention, form)
    if reports is not None:
        write(ranking, reports)


def show(ranking: Ranking, form: Format = Format.TABLE) -> None:
    """Write a leaderboard to standard output, and what disturbs the comparison to standard error."""
    from segbench.report.tables import to_csv, to_json, to_markdown

    if form is Format.TABLE:
        _show_table(ranking.board)
    else:
        text = {Format.MARKDOWN: to_markdown, Format.CSV: to_csv, Format.JSON: to_json}[form](ranking.board)
        typer.echo(text, nl=not text.endswith("\n"))
    for note in ranking.notes:
        tell(f"note: {note}")


def write(ranking: Ranking, reports: Path) -> None:
    """Write the report of a ranking below ``reports``.

    Raises:
        StoreError: The report cannot be written.
    """
    from segbench.report.render import write_ranking

    files = write_ranking(ranking, reports)
    tell(f"report: {files.markdown}")


def _show_table(board: pd.DataFrame) -> None:
    from rich.console import Console

    from segbench.report.tables import rich_tables

    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else _PLAIN_WIDTH)
    console.print(rich_tables(board, width=console.width))


_PLAIN_WIDTH = 160
"""Signs in a line where standard output is no terminal."""
