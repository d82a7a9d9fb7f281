r"""The table of a paper: six columns, the best of each in bold, with intervals; needs ``\usepackage{booktabs}``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pandas as pd

from segbench.metrics.trainings import Scope
from segbench.report import text
from segbench.report.formats.latex import escape_latex, label_of, table_environment
from segbench.report.ranking.citations import papers_of_network
from segbench.report.ranking.tables import RankedTable, tables_of
from segbench.report.text import is_absent, name_of_test_data, plural, short_id


class _Column(NamedTuple):
    """A numeric column: heading, leaderboard column, formatter, and whether lower is better."""

    title: str
    name: str
    show: Callable[[pd.Series[Any]], str]
    lower: bool = False


def paper_table(board: pd.DataFrame, factories: dict[str, str]) -> str:
    """Return the ranked tables of a leaderboard as LaTeX.

    Args:
        board: What ``leaderboard`` returns.
        factories: The registered name of each network, by its label, for citations.
    """
    tables = [_table(table, factories) for table in tables_of(board) if len(table.scored)]
    return "\n".join(tables) if tables else "% no ranked rows\n"


def _table(table: RankedTable, factories: dict[str, str]) -> str:
    columns = [column for column in _columns(table.scored) if table.scored[column.name].notna().any()]
    best = {column.title: _best(table.scored, column) for column in columns}
    rows = []
    for _, row in table.scored.iterrows():
        cells = [column.show(row) for column in columns]
        set_cells = [_set(cell, bold=cell in best[column.title]) for cell, column in zip(cells, columns, strict=True)]
        rows.append([_network(str(row["model"]), factories), *set_cells])
    titles = ["Network", *(escape_latex(column.title) for column in columns)]
    caption, label = escape_latex(_caption(table)), f"{label_of(table)}-paper"
    return table_environment(titles, rows, f"l{'r' * len(columns)}", caption=caption, label=label)


def _columns(scored: pd.DataFrame) -> tuple[_Column, ...]:
    """Return the five columns of figures: the fourth is speed where that was measured, else multiply-adds."""
    measured = scored["throughput_images_per_second"].notna().any()
    speed = _Column("Images/s", "throughput_images_per_second", _throughput)
    work = _Column("MACs", "macs", lambda row: text.count(row["macs"]), lower=True)
    return (
        _Column("mIoU", "mean_iou", _mean_iou),
        _Column("Pixel acc.", "pixel_accuracy", lambda row: text.with_spread(row["pixel_accuracy"], None)),
        _Column("Recall", "mean_recall", lambda row: text.with_spread(row["mean_recall"], None)),
        speed if measured else work,
        _Column("Params", "parameters", lambda row: text.count(row["parameters"]), lower=True),
    )


def _mean_iou(row: pd.Series[Any]) -> str:
    """Return the mean IoU with half of its interval."""
    low, high = row["mean_iou_low"], row["mean_iou_high"]
    return text.with_spread(row["mean_iou"], None if is_absent(low) else (high - low) / 2)


def _throughput(row: pd.Series[Any]) -> str:
    return text.rate(row["throughput_images_per_second"])


def _best(scored: pd.DataFrame, column: _Column) -> set[str]:
    """Return the best cell texts of a column: rows that round to the same text are all best."""
    known = scored[scored[column.name].notna()]
    values = known[column.name].astype(float)
    first = known.iloc[int(values.argmin() if column.lower else values.argmax())]
    shown = column.show(first).partition(" ±")[0]
    return {cell for _, row in known.iterrows() if (cell := column.show(row)).partition(" ±")[0] == shown}


def _set(cell: str, *, bold: bool) -> str:
    escaped = escape_latex(cell)
    return rf"\textbf{{{escaped}}}" if bold else escaped


def _network(label: str, factories: dict[str, str]) -> str:
    papers = papers_of_network(factories.get(label, ""))
    keys = ",".join(paper.key for paper in papers)
    return escape_latex(label) + (rf"~\cite{{{keys}}}" if keys else "")


def _caption(table: RankedTable) -> str:
    scored = table.scored
    seeds = sorted(set(scored["seeds"]))
    numbers = plural(seeds[0], "training") if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]} trainings"
    whose = (
        "trainings and test images" if (scored["scope"] == Scope.NETWORKS).any() else "test images, of these weights"
    )
    interval = f" ± is half of the 95 % interval over {whose}." if scored["mean_iou_low"].notna().any() else ""
    situations = scored["speed_situation"].dropna()
    speed = f" Images/s: {situations.iloc[0]}." if len(situations) else ""
    return (
        f"Scores on {scored['test_images'].iloc[0]} test images, means of {numbers} of each network.{interval}{speed} "
        f"Best in bold. segbench protocol {short_id(table.protocol)}, {name_of_test_data(table.test_data)}."
    )
