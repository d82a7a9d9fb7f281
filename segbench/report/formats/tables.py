"""A leaderboard as a table for the terminal, CSV and JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd
from rich import box
from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from segbench.report.formats.columns import Column, columns_of
from segbench.report.formats.per_class import class_tables
from segbench.report.ranking.tables import tables_of
from segbench.report.runs.class_iou import with_class_columns
from segbench.report.text import is_absent, plural, printable

JSON_SCHEMA_VERSION = 2
"""History: 2, rows have ``position`` and ``scope``, those that cannot be ranked no rank, pairs no ``better``; 1, the
first."""

_CELL_PADDING = 2
_NARROWEST_MODEL = 12
_FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")
"""A cell that begins with one of these is a formula to a spreadsheet (OWASP, CSV Injection)."""


def rich_tables(board: pd.DataFrame, *, width: int = 80, per_class: bool = False) -> RenderableType:
    """Return a leaderboard for the terminal: its tables, each with what is not ranked below it.

    Args:
        board: What ``leaderboard`` returns.
        width: Characters per line. The least important columns are left out until the rest fits; how many are left
            out is said below the table.
        per_class: Whether the IoU of every class follows on each table.
    """
    if board.empty:
        return Text("no runs")
    parts: list[RenderableType] = []
    for table in tables_of(board):
        parts.append(Text(table.heading, style="bold"))
        if table.apart:
            parts.append(Text(table.apart, style="dim"))
        if len(table.scored):
            ranked = _ranked_table(table.scored, width)
            parts += ranked.parts
            if certainty := table.certainty_of(*ranked.titles):
                parts.append(Text(certainty, style="dim"))
        if per_class:
            parts += [Padding(one, (1, 0, 0, 0), expand=False) for one in class_tables(table.scored, width=width)]
        if len(table.others):
            parts.append(Padding(_unranked_table(table.others), (1, 0, 0, 0)))
        parts.append(Text(""))
    return Group(*parts[:-1])


def titles_shown(board: pd.DataFrame, *, width: int) -> set[str]:
    """Return the titles of the columns that some table of ``rich_tables`` shows in a width."""
    scored = [table.scored for table in tables_of(board)] if len(board) else []
    return {title for ranked in scored if len(ranked) for title in _ranked_table(ranked, width).titles}


def to_csv(board: pd.DataFrame) -> str:
    """Return a leaderboard as CSV: every column in full precision, names as they are, two columns for each class.

    A text that a spreadsheet would take for a formula (it begins with ``=``, ``+``, ``-``, ``@`` or a tab) has a
    single quote before it, which spreadsheets read as the mark of a text.
    """
    board = with_class_columns(board)
    texts = board.select_dtypes(include=["object", "string"]).columns
    return board.assign(**{name: board[name].map(_unformulated) for name in texts}).to_csv(
        index=False, lineterminator="\n"
    )


def to_json(board: pd.DataFrame, **facts: Any) -> str:
    """Return a leaderboard as JSON: ``schema_version``, further ``facts`` and ``rows``; what is absent is null."""
    rows = [{str(name): _plain(value) for name, value in row.items()} for row in board.to_dict("records")]
    document = {"schema_version": JSON_SCHEMA_VERSION, **facts, "rows": rows}
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


_UNRANKED = ("model", "status", "reason")


class _Ranked(NamedTuple):
    """A ranked table with a note on omitted columns, and the titles of the shown ones."""

    parts: list[RenderableType]
    titles: list[str]


def _ranked_table(ranked: pd.DataFrame, width: int) -> _Ranked:
    columns = columns_of(ranked)
    cells = {column.title: [column.show(row) for _, row in ranked.iterrows()] for column in columns}
    shown, model_width = _fitting(columns, cells, width)
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
        for column in columns
        if column not in shown and column.title != "seeds" and any(cells[column.title])
    ]
    left_out = f"{plural(len(hidden), 'more column')} in a wider terminal, the report or --format csv"
    notes = [Text(left_out, style="dim")] if hidden else []
    return _Ranked([table, *notes], [column.title for column in shown])


def _fitting(columns: Sequence[Column], cells: dict[str, list[str]], width: int) -> tuple[list[Column], int]:
    """Choose the columns that fit, most important first, and the width of the model's name."""
    widths = {title: max(map(cell_len, (title, *column))) + _CELL_PADDING for title, column in cells.items()}
    widths["model"] = min(widths["model"], max(_NARROWEST_MODEL, width // 3) + _CELL_PADDING)
    needless = {title for title, column in cells.items() if not any(column)}
    if len(set(cells["seeds"])) == 1:  # the heading says it
        needless.add("seeds")
    chosen: set[str] = set()
    room = width + _CELL_PADDING
    for column in sorted(columns, key=lambda column: column.importance):
        if column.title in needless or (column.importance and widths[column.title] > room):
            continue
        chosen.add(column.title)
        room -= widths[column.title]
    return [column for column in columns if column.title in chosen], widths["model"] - _CELL_PADDING


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
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if is_absent(value):
        return None
    item = value.item() if hasattr(value, "item") else value
    return str(item) if isinstance(item, float) and item in (float("inf"), float("-inf")) else item
