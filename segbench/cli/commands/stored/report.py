"""Commands that rank results: leaderboard, report."""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segbench.cli.support.options import PerClass, StoredResults
from segbench.cli.terminal.output import emphasized, tell
from segbench.cli.terminal.waiting import doing
from segbench.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

    from segbench.report.ranking.ranking import Ranking


class Format(StrEnum):
    """The format of a leaderboard."""

    TABLE = "table"
    MARKDOWN = "markdown"
    CSV = "csv"
    JSON = "json"
    LATEX = "latex"


def leaderboard(
    results: StoredResults,
    *,
    form: Annotated[
        Format, typer.Option("--format", metavar="FORMAT", help=f"How to write it: {', '.join(Format)}.")
    ] = Format.TABLE,
    convention: Annotated[
        str | None,
        typer.Option(
            "--convention",
            metavar="NAME|all",
            help="Score, order and rank by another rule: void-as-error, mmsegmentation, smp-macro … or show all.",
        ),
    ] = None,
    per_class: PerClass = False,
    reports: Annotated[
        Path | None,
        typer.Option("--reports", metavar="DIR", help="Also write the whole report, with figures, into this folder."),
    ] = None,
) -> None:
    """Rank stored runs, each against those of equal protocol."""
    from segbench.report.ranking.ranking import rank

    if per_class and (convention is not None or form is Format.LATEX):
        raise UsageError("--per-class is for the table and Markdown, by our own rule: leave --convention and latex out")
    with doing("reading and ranking the runs"):
        ranking = rank(*results)
    if convention is None:
        show(ranking, form, per_class=per_class)
    else:
        from segbench.cli.terminal.conventions import show_conventions

        show_conventions(ranking.runs, convention, form)
    if reports is not None:
        write(ranking, reports)
    if convention is None and form is Format.TABLE:
        show_verdicts(ranking)


def report(
    results: StoredResults,
    *,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of all reports.")] = Path("reports"),
    paper: Annotated[
        bool,
        typer.Option("--paper", help="Also write figures as wide as a paper's columns, its table and its references."),
    ] = False,
    opened: Annotated[bool, typer.Option("--open", help="Show the page in a browser.")] = False,
) -> None:
    """Write the report of stored runs as one page.

    Beside the page stand Markdown, CSV, JSON, LaTeX and figures.

    Several folders make one report: their runs are ranked together where protocols and test data agree, and stand in
    tables of their own where they do not. It needs neither torch nor the data.
    """
    from segbench.report.ranking.ranking import rank

    with doing("reading and ranking the runs"):
        ranking = rank(*results)
    page = write(ranking, out, paper=paper)
    for note in ranking.notes:
        tell(f"note: {note}")
    if opened and typer.launch(page.resolve().as_uri()) != 0:
        tell(f"no browser could be started; open {page} yourself")


def rank_and_report(results: Path, reports: Path | None, *, per_class: bool = False) -> None:
    """Show the leaderboard of a folder of results, and write its report below ``reports`` if given.

    Args:
        results: The folder.
        reports: Folder of all reports.
        per_class: Also show the IoU of every class.

    Raises:
        StoreError: The report cannot be written.
    """
    from segbench.report.ranking.ranking import rank

    with doing("ranking the runs"):
        ranking = rank(results)
    if ranking.runs.empty:
        tell("only trials are done yet; there is nothing to rank")
        return
    show(ranking, per_class=per_class)
    if reports is not None:
        write(ranking, reports)
    show_verdicts(ranking)


def show_verdicts(ranking: Ranking) -> None:
    """Write the verdict on each table to standard output; a terminal shows the winner in bold."""
    from segbench.report.verdict import verdicts_of

    for verdict in verdicts_of(ranking):
        typer.echo()
        typer.echo(emphasized(verdict.text, verdict.winner))


def show(ranking: Ranking, form: Format = Format.TABLE, *, per_class: bool = False) -> None:
    """Write a leaderboard to standard output, and its caveats to standard error."""
    from segbench.report.formats.latex import to_latex
    from segbench.report.formats.leaderboard import to_markdown
    from segbench.report.formats.tables import to_csv, to_json

    notes = ranking.notes
    if form is Format.TABLE:
        titles = _show_table(ranking.board, per_class=per_class)
        notes = [note for note in notes if note.concerns(titles)]
    else:
        writers: dict[Format, Callable[[pd.DataFrame], str]] = {
            Format.MARKDOWN: partial(to_markdown, per_class=per_class),
            Format.CSV: to_csv,
            Format.JSON: to_json,
            Format.LATEX: to_latex,
        }
        text = writers[form](ranking.board)
        typer.echo(text, nl=not text.endswith("\n"))
    for note in notes:
        tell(f"note: {note}")


def write(ranking: Ranking, reports: Path, *, paper: bool = False) -> Path:
    """Write the report of a ranking below ``reports``, with what a ``paper`` needs if asked, and return its page.

    Raises:
        StoreError: The report cannot be written.
    """
    from segbench.report.write import write_ranking

    with doing("writing the report"):
        files = write_ranking(ranking, reports)
        written = _paper(ranking, files.folder) if paper else None
    tell(f"report: {files.page}")
    if written is not None:
        tell(f"paper: {written}")
    for note in files.notes:
        if written is None or str(written) not in note:
            tell(f"note: {note}")
    return files.page


def _paper(ranking: Ranking, folder: Path) -> Path:
    from segbench.report.paper import write_paper

    return write_paper(ranking, folder).folder


def _show_table(board: pd.DataFrame, *, per_class: bool) -> set[str]:
    """Write the tables; return the titles of their columns."""
    from rich.console import Console

    from segbench.report.formats.tables import rich_tables, titles_shown

    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else _PLAIN_WIDTH)
    console.print(rich_tables(board, width=console.width, per_class=per_class))
    return titles_shown(board, width=console.width)


_PLAIN_WIDTH = 160
"""Characters per line if standard output is not a terminal."""
