"""A leaderboard as a table for the terminal, Markdown, CSV and JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from rich import box
from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from segbench.report import text
from segbench.report.ranked import RankedTable, tables_of
from segbench.report.text import escape_markdown, is_absent, printable

JSON_SCHEMA_VERSION = 1
"""History: 1, the first."""

_CELL_PADDING = 2
_NARROWEST_MODEL = 12
_FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")
"""With these, a cell is a formula to a spreadsheet (OWASP, CSV Injection)."""


@dataclass(frozen=True)
class Column:
    """One column of a ranked table.

    Attributes:
        title: The heading, with the unit.
        show: The text of a row's cell.
        importance: Columns of small numbers stay when there is little room.
        right: Whether it is set flush right.
    """

    title: str
    show: Callable[[pd.Series[Any]], str]
    importance: int
    right: bool = True


def _fraction(name: str) -> Callable[[pd.Series[Any]], str]:
    return lambda row: text.with_spread(row[name], row[f"{name}_std"])


def _rate(name: str) -> Callable[[pd.Series[Any]], str]:
    return lambda row: text.rate(row[name], row[f"{name}_std"])


def _whole(name: str) -> Callable[[pd.Series[Any]], str]:
    return lambda row: "" if is_absent(row[name]) else str(row[name])


def _word(name: str) -> Callable[[pd.Series[Any]], str]:
    return lambda row: "" if is_absent(row[name]) else printable(row[name])


def _same_data(row: pd.Series[Any]) -> str:
    return "" if is_absent(row["same_data"]) else "yes" if row["same_data"] else "NO"


COLUMNS = (
    Column("#", _whole("rank"), 0),
    Column("model", _word("model"), 0, right=False),
    Column("weights", _word("pretrained"), 3, right=False),
    Column("seeds", _whole("seeds"), 1),
    Column("mIoU", _fraction("mean_iou"), 0),
    Column("pixel acc.", _fraction("pixel_accuracy"), 4),
    Column("mean recall", _fraction("mean_recall"), 6),
    Column("fw-IoU", _fraction("frequency_weighted_iou"), 8),
    Column("Dice", _fraction("mean_dice"), 9),
    Column("precision", _fraction("mean_precision"), 10),
    Column("test img/s", _rate("evaluation_images_per_second"), 2),
    Column("train img/s", _rate("training_images_per_second"), 7),
    Column("params", lambda row: text.count(row["parameters"]), 5),
    Column("MACs", lambda row: text.count(row["macs"]), 11),
    Column("activations/img", lambda row: text.byte_count(row["activation_bytes"]), 14),
    Column("weights on disk", lambda row: text.byte_count(row["weights_bytes"]), 15),
    Column("classes", _whole("averaged_classes"), 12),
    Column("same data", _same_data, 13, right=False),
)
"""All columns, as they stand from left to right. Scores are fractions of 1."""


def rich_tables(board: pd.DataFrame, *, width: int = 80) -> RenderableType:
    """Return a leaderboard for the terminal: its tables, each with what is not ranked below it.

    Args:
        board: What ``leaderboard`` returns.
        width: Signs in a line. The least important columns are left out until the rest fits; what is left out is
            named below the table.
    """
    if board.empty:
        return Text("no runs")
    parts: list[RenderableType] = []
    for table in tables_of(board):
        parts.append(Text(table.heading, style="bold"))
        if table.apart:
            parts.append(Text(table.apart, style="dim"))
        if len(table.ranked):
            parts += _ranked_table(table.ranked, width)
        if len(table.others):
            parts.append(Padding(_unranked_table(table.others), (1, 0, 0, 0)))
        parts.append(Text(""))
    return Group(*parts[:-1])


def to_markdown(board: pd.DataFrame, *, heading: str = "###") -> str:
    """Return a leaderboard in GitHub-flavoured Markdown: its tables, each with what is not ranked below it."""
    if board.empty:
        return "No runs.\n"
    return "\n\n".join(markdown_of(table, heading=heading) for table in tables_of(board)) + "\n"


def markdown_of(table: RankedTable, *, heading: str = "###") -> str:
    """Return one table of a leaderboard in GitHub-flavoured Markdown, without a line break at the end."""
    parts = [f"{heading} {escape_markdown(table.heading)}"]
    if table.apart:
        parts.append(escape_markdown(table.apart))
    if len(table.ranked):
        cells = [[escape_markdown(column.show(row)) for column in COLUMNS] for _, row in table.ranked.iterrows()]
        parts.append(markdown_table([column.title for column in COLUMNS], cells, _alignment(COLUMNS)))
    if len(table.others):
        cells = [[escape_markdown(row[name]) for name in _UNRANKED] for _, row in table.others.iterrows()]
        parts.append(markdown_table(["not ranked", "outcome", "reason"], cells, ":::"))
    return "\n\n".join(parts)


def to_csv(board: pd.DataFrame) -> str:
    """Return a leaderboard as CSV: every column in full precision, names as they are.

    A text that a spreadsheet would take for a formula (it begins with ``=``, ``+``, ``-``, ``@`` or a tab) has a
    single quote before it, which spreadsheets read as the mark of a text.
    """
    texts = board.select_dtypes(include=["object", "string"]).columns
    return board.assign(**{name: board[name].map(_unformulated) for name in texts}).to_csv(
        index=False, lineterminator="\n"
    )


def to_json(board: pd.DataFrame, **facts: Any) -> str:
    """Return a leaderboard as JSON: ``schema_version``, further ``facts`` and ``rows``; what is absent is null."""
    rows = [{str(name): _plain(value) for name, value in row.items()} for row in board.to_dict("records")]
    document = {"schema_version": JSON_SCHEMA_VERSION, **facts, "rows": rows}
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def markdown_table(titles: Sequence[str], rows: Sequence[Sequence[str]], alignment: str) -> str:
    """Return a Markdown table of cells that are escaped already.

    Args:
        titles: The headings.
        rows: The cells.
        alignment: One sign a column: ``:`` for flush left, ``-`` for flush right.
    """
    rule = [":---" if sign == ":" else "---:" for sign in alignment]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [titles, rule, *rows])


_UNRANKED = ("model", "status", "reason")


def _alignment(columns: Sequence[Column]) -> str:
    return "".join("-" if column.right else ":" for column in columns)


def _ranked_table(ranked: pd.DataFrame, width: int) -> list[RenderableType]:
    cells = {column.title: [column.show(row) for _, row in ranked.iterrows()] for column in COLUMNS}
    shown, model_width = _fitting(cells, width)
    table = _table()
    for column in shown:
        if column.title == "model":
            table.add_column(column.title, width=model_width, overflow="fold")
        else:
            table.add_column(column.title, justify="right" if column.right else "left", no_wrap=True)
    for index in range(len(ranked)):
        table.add_row(*(Text(cells[column.title][index]) for column in shown))
    hidden = [
        column.title
        for column in COLUMNS
        if column not in shown and column.title != "seeds" and any(cells[column.title])
    ]
    note = Text(f"not shown for lack of room: {', '.join(hidden)}", style="dim")
    return [table, note] if hidden else [table]


def _fitting(cells: dict[str, list[str]], width: int) -> tuple[list[Column], int]:
    """Choose the columns that fit, most important first, and the width of the model's name."""
    widths = {title: max(map(cell_len, (title, *column))) + _CELL_PADDING for title, column in cells.items()}
    widths["model"] = min(widths["model"], max(_NARROWEST_MODEL, width // 3) + _CELL_PADDING)
    needless = {title for title, column in cells.items() if not any(column)}
    if len(set(cells["seeds"])) == 1:  # the heading says it
        needless.add("seeds")
    chosen: set[str] = set()
    room = width + _CELL_PADDING
    for column in sorted(COLUMNS, key=lambda column: column.importance):
        if column.importance and (column.title in needless or widths[column.title] > room):
            continue
        chosen.add(column.title)
        room -= widths[column.title]
    return [column for column in COLUMNS if column.title in chosen], widths["model"] - _CELL_PADDING


def _unranked_table(others: pd.DataFrame) -> Table:
    table = _table()
    table.add_column("not ranked", overflow="fold", max_width=24)
    table.add_column("outcome", no_wrap=True)
    table.add_column("reason", overflow="fold")
    for _, row in others.iterrows():
        table.add_row(*(Text(printable(row[name])) for name in _UNRANKED))
    return table


def _table() -> Table:
    return Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, _CELL_PADDING - 1, 0, 0))


def _unformulated(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_SIGNS) else value


def _plain(value: Any) -> Any:
    if is_absent(value):
        return None
    item = value.item() if hasattr(value, "item") else value
    return str(item) if isinstance(item, float) and item in (float("inf"), float("-inf")) else item
