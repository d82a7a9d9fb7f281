"""A leaderboard as blocks: ranked tables, each followed by its unranked rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from segbench.report.blocks import Block, Cell, ColumnFacts, Heading, Paragraph, RowFacts, Table
from segbench.report.formats.column_meanings import meaning_of
from segbench.report.formats.columns import OVERVIEW, Column, columns_of
from segbench.report.formats.markdown import render_markdown
from segbench.report.formats.per_class import class_block
from segbench.report.ranking.tables import RankedTable, tables_of
from segbench.report.text import is_absent

_UNRANKED = ("model", "status", "reason")


def board_blocks(board: pd.DataFrame, *, per_class: bool = False) -> list[Block]:
    """Return a leaderboard's tables, each followed by the IoU of every class where that is asked for."""
    if board.empty:
        return [Paragraph.of("No runs.")]
    found: list[Block] = []
    for table in tables_of(board):
        found += [*table_blocks(table), *(class_block(table.scored) if per_class else [])]
    return found


def table_blocks(table: RankedTable, *, level: int = 3, facts: Sequence[RowFacts] = ()) -> list[Block]:
    """Return one table of a leaderboard: heading, ranked rows, how sure they are, and the rows that are not ranked.

    Args:
        table: The table.
        level: Of its heading.
        facts: The details that a page shows for each scored row.
    """
    blocks: list[Block] = [Heading(table.heading, level)]
    if table.apart:
        blocks.append(Paragraph.of(table.apart))
    if len(table.scored):
        blocks.append(_ranked(table.scored, facts))
    if table.certainty:
        blocks.append(Paragraph.of(table.certainty))
    if len(table.others):
        rows = [[str(row[name]) for name in _UNRANKED] for _, row in table.others.iterrows()]
        blocks.append(Table.of("not-ranked", ["not ranked", "outcome", "reason"], rows))
    return blocks


def to_markdown(board: pd.DataFrame, *, per_class: bool = False) -> str:
    """Return a leaderboard in GitHub-flavoured Markdown."""
    return render_markdown(board_blocks(board, per_class=per_class)) + "\n"


def filled_columns(ranked: pd.DataFrame) -> list[Column]:
    """Return the columns that are not empty for all of these rows."""
    rows = [row for _, row in ranked.iterrows()]
    return [column for column in columns_of(ranked) if any(column.show(row) for row in rows)]


def _ranked(ranked: pd.DataFrame, facts: Sequence[RowFacts]) -> Table:
    columns = filled_columns(ranked)
    rows = [tuple(_cell(column, row, ranked) for column in columns) for _, row in ranked.iterrows()]
    one_number = ranked["seeds"].nunique() == 1
    known = tuple(_column_facts(column, one_number=one_number) for column in columns)
    titles = tuple(column.title for column in columns)
    return Table("ranking", titles, tuple(rows), tuple(column.right for column in columns), known, tuple(facts))


def _column_facts(column: Column, *, one_number: bool) -> ColumnFacts:
    """Return a column's facts for a page; the seeds column is hidden if all rows have as many seeds."""
    meaning = meaning_of(column.title)
    shown = column.importance <= OVERVIEW and not (column.title == "seeds" and one_number)
    lower = meaning.lower if column.sort else None
    return ColumnFacts(meaning.words, lower=lower, shown=shown, told=meaning.told, preset=meaning.preset)


def _cell(column: Column, row: pd.Series[Any], ranked: pd.DataFrame) -> Cell:
    """Return a row's cell; the mean IoU's cell has a bar with its interval, on an axis shared by all rows."""
    cell = column.cell(row)
    if column.sort != "mean_iou" or is_absent(row["mean_iou_low"]):
        return cell
    low, high = float(ranked["mean_iou_low"].min()), float(ranked["mean_iou_high"].max())
    ends = (row["mean_iou_low"], row["mean_iou"], row["mean_iou_high"])
    first, middle, last = ((float(end) - low) / ((high - low) or 1.0) for end in ends)
    return replace(cell, bar=(first, middle, last))
