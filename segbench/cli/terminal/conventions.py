"""Shows the scores of stored runs by the conventions of other tools: leaderboard --convention."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any

import typer

from segbench.cli.terminal.output import tell, wrapped, write_json, write_table
from segbench.errors import UsageError
from segbench.metrics.conventions import CONVENTIONS
from segbench.report.text import escape_markdown, is_absent, printable, short_id
from segbench.results.wording import markdown_table

if TYPE_CHECKING:
    import pandas as pd

ALL = "all"
_FIGURES = {"mean_iou": "mIoU", "accuracy": "accuracy", "mean_accuracy": "mean accuracy"}
_UNKNOWN = "unknown"
_NARROW_COLUMNS = 6
"""Number of conventions that fit into 80 columns beside a name of 30."""


def show_conventions(runs: pd.DataFrame, name: str, form: str) -> None:
    """Write the scores of stored runs by one convention, ranked by it, or their mean IoU by every convention.

    Args:
        runs: Rows of ``load_results``.
        name: A convention, or ``all``.
        form: table, markdown, csv or json.

    Raises:
        UnknownNameError: There is no such convention.
        UsageError: It cannot be written in this form.
    """
    if form == "latex":
        raise UsageError("--convention is written as table, markdown, csv or json")
    from segbench.report.formats.tables import to_csv
    from segbench.report.ranking.conventions import ranked_anew, rescored

    names = list(CONVENTIONS) if name == ALL else [name]
    frame = rescored(runs, names) if name == ALL else ranked_anew(rescored(runs, names))
    if form == "json":
        write_json(frame.astype(object).where(frame.notna(), None).to_dict("records"))
    elif form == "csv":
        typer.echo(to_csv(frame), nl=False)
    else:
        _show(frame, names, markdown=form == "markdown")
        told = [f"{one}: {CONVENTIONS[one].title}: {CONVENTIONS[one].rule}" for one in names]
        if len(names) > 1 and form == "table":  # whose columns are called by letters: nobody can read it alone
            for mark, text in zip(ascii_lowercase, told, strict=False):
                typer.echo(wrapped(f"{mark}  {text}", indent="   "))
        else:
            for text in told:
                tell(text)
    for note in _unknown_notes(frame):
        tell(note)


def _show(frame: pd.DataFrame, names: Sequence[str], *, markdown: bool) -> None:
    for (protocol, _), rows in frame.groupby(["protocol", "test_data"], sort=False, dropna=False):
        titles, cells = _by_convention(rows) if len(names) > 1 else _by_figure(rows)
        unranked = ", not ranked" if rows["rank"].isna().all() else ""
        if markdown:
            escaped = [[escape_markdown(cell) for cell in line] for line in cells]
            typer.echo(f"### Protocol {short_id(protocol)}{unranked}\n")
            typer.echo(markdown_table(titles, escaped, "-:" + "-" * (len(titles) - 2)) + "\n")
        else:
            several = len(names) > 1
            typer.echo(f"Protocol {short_id(protocol)}{unranked}{', mean IoU in %' if several else ''}")
            _write_narrow(cells) if several else write_table(titles, cells, right=titles[2:], whole=["model"])


def _unknown_notes(frame: pd.DataFrame) -> list[str]:
    """Return notes on unknown scores, with reason and remedy."""
    return [
        f"note: {convention} of {', '.join(dict.fromkeys(map(printable, rows['model'])))} is not known: {reason}; "
        "'segbench results recount' counts it where the predictions are kept"
        for (convention, reason), rows in frame.groupby(["convention", "reason"], sort=False)
    ]


def _write_narrow(cells: Sequence[Sequence[str]]) -> None:
    """Write the mean IoU by many conventions in 80 columns: lettered, and a few conventions per table."""
    letters = list(ascii_lowercase[: len(cells[0]) - 2]) if cells else []
    for start in range(0, len(letters), _NARROW_COLUMNS):
        part = letters[start : start + _NARROW_COLUMNS]
        lines = [[*line[:2], *map(_per_cent, line[2 + start : 2 + start + _NARROW_COLUMNS])] for line in cells]
        if start:
            typer.echo()
        write_table(["#", "model", *part], lines, right=["#", *part])


def _per_cent(text: str) -> str:
    return {"NaN": text, _UNKNOWN: "?"}.get(text) or f"{100 * float(text):.1f}"


def _by_convention(rows: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Return the headings and a row for each network with its mean IoU by every convention."""
    lines = [
        [_rank(same["rank"].iloc[0]), str(model), *map(_fraction, same["mean_iou"], same["reason"])]
        for model, same in rows.groupby("model", sort=False)
    ]
    return ["#", "model", *dict.fromkeys(map(str, rows["convention"]))], lines


def _by_figure(rows: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Return the headings and a row for each network with all scores that the tool prints."""
    shown = [name for name in _FIGURES if rows[name].notna().any() or name == "mean_iou"]
    lines = [
        [_rank(row["rank"]), str(row["model"]), *(_fraction(row[name], row["reason"]) for name in shown)]
        for _, row in rows.iterrows()
    ]
    return ["#", "model", *(_FIGURES[name] for name in shown)], lines


def _rank(value: Any) -> str:
    return "-" if is_absent(value) else str(value)


def _fraction(value: float, reason: Any) -> str:
    """Format a score; a missing score with a reason is unknown, one without is undefined (NaN)."""
    if value == value:  # noqa: PLR0124 - NaN is what it does not equal
        return f"{value:.3f}"
    return _UNKNOWN if isinstance(reason, str) else "NaN"
