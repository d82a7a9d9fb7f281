"""Commands about results: the leaderboard."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segbench.cli.output import tell
from segbench.errors import StoreError

if TYPE_CHECKING:
    import pandas as pd


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
    if convention is None:
        show(results, form)
    else:
        from segbench.cli.conventions import show_conventions

        show_conventions(results, convention, form)
    if reports is not None:
        write(results, reports)


def show(folders: Sequence[Path], form: Format = Format.TABLE) -> None:
    """Write the leaderboard of stored runs to standard output, and what disturbs the comparison to standard error.

    Raises:
        StoreError: A folder does not exist or holds no runs.
    """
    from segbench.report.leaderboard import leaderboard as rank
    from segbench.report.leaderboard import observations
    from segbench.report.runs import load_results
    from segbench.report.tables import to_csv, to_json, to_markdown

    runs = load_results(*folders)
    if runs.empty:
        raise StoreError(f"{', '.join(map(str, folders))}: there are no runs here; 'segbench run SUITE' writes some")
    board = rank(runs)
    if form is Format.TABLE:
        _show_table(board)
    else:
        text = {Format.MARKDOWN: to_markdown, Format.CSV: to_csv, Format.JSON: to_json}[form](board)
        typer.echo(text, nl=not text.endswith("\n"))
    for note in observations(runs):
        tell(f"note: {note}")


def write(folders: Sequence[Path], reports: Path) -> None:
    """Write the report of stored runs below ``reports``.

    Raises:
        StoreError: A folder does not exist, or the report cannot be written.
    """
    from segbench.report.render import write_report

    files = write_report(folders, reports)
    tell(f"report: {files.markdown}")


def _show_table(board: pd.DataFrame) -> None:
    from rich.console import Console

    from segbench.report.tables import rich_tables

    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else _PLAIN_WIDTH)
    console.print(rich_tables(board, width=console.width))


_PLAIN_WIDTH = 160
"""Signs in a line where standard output is no terminal."""
