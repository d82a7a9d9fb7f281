"""A leaderboard as blocks: its tables, each with what is not ranked below it; and what is written from them."""

from __future__ import annotations

from typing import Any

import pandas as pd

from segbench.report.blocks import Block, Cell, Heading, Paragraph, Table
from segbench.report.formats.columns import Column, columns_of
from segbench.report.formats.markdown import render_markdown
from segbench.report.formats.per_class import class_block
from segbench.report.ranking.tables import RankedTable, tables_of

_UNRANKED = ("model", "status", "reason")


def board_blocks(board: pd.DataFrame, *, level: int = 3, per_class: bool = False) -> list[Block]:
    """Return a leaderboard's tables, each followed by the IoU of every class where that is asked for."""
    if board.empty:
        return [Paragraph.of("No runs.")]
    found: list[Block] = []
    for table in tables_of(board):
        found += [*table_blocks(table, level=level), *(class_block(table.scored) if per_class else [])]
    return found


def table_blocks(table: RankedTable, *, level: int = 3) -> list[Block]:
    """Return one table of a leaderboard: heading, ranked rows, how sure they are, and the rows that are not ranked."""
    blocks: list[Block] = [Heading(table.heading, level)]
    if table.apart:
        blocks.append(Paragraph.of(table.apart))
    if len(table.scored):
        blocks.append(_ranked(table.scored))
    if table.certainty:
        blocks.append(Paragraph.of(table.certainty))
    if len(table.others):
        rows = [[_text(row[name]) for name in _UNRANKED] for _, row in table.others.iterrows()]
        blocks.append(Table.of("not-ranked", ["not ranked", "outcome", "reason"], rows))
    return blocks


def to_markdown(board: pd.DataFrame, *, per_class: bool = False) -> str:
    """Return a leaderboard in GitHub-flavoured Markdown."""
    return render_markdown(board_blocks(board, per_class=per_class)) + "\n"


def filled_columns(ranked: pd.DataFrame) -> list[Column]:
    """Return the columns in which any of these rows has something to show."""
    rows = [row for _, row in ranked.iterrows()]
    return [column for column in columns_of(ranked) if any(column.show(row) for row in rows)]


def _ranked(ranked: pd.DataFrame) -> Table:
    columns = filled_columns(ranked)
    rows: list[list[Cell | str]] = [[column.cell(row) for column in columns] for _, row in ranked.iterrows()]
    signs = "".join("-" if column.right else ":" for column in columns)
    return Table.of("ranking", [column.title for column in columns], rows, signs)


def _text(value: Any) -> str:
    return str(value)
