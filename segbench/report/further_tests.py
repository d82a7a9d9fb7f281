"""What tables of further tests of trained networks share: robustness and deployments, in terminals and reports."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from segbench.report.blocks import Cell, Table
from segbench.report.ranking.paired_order import Ranks
from segbench.report.runs.folds import folders_of

Row = TypeVar("Row")

ABSENT = Cell("-")


@dataclass(frozen=True, eq=False)
class ShownTable:
    """A table of further tests, ready to be shown.

    Attributes:
        columns: The cells of each column by its title.
        words: Titles of the columns that hold words, not numbers.
        whole: Titles of the columns that a narrow terminal must not cut.
        reasons: Why rows have no result, a line each.
        ending: What is said below it.
        facts: The same for programs.
    """

    columns: Mapping[str, Sequence[Cell]]
    words: tuple[str, ...]
    whole: tuple[str, ...]
    reasons: Sequence[str]
    ending: str
    facts: Mapping[str, Any]

    @property
    def titles(self) -> list[str]:
        """The titles of its columns."""
        return list(self.columns)

    @property
    def rows(self) -> list[list[Cell]]:
        """The cells of its rows."""
        return [list(row) for row in zip(*self.columns.values(), strict=True)]

    def block(self, name: str) -> Table:
        """Return the table as a part of a report."""
        signs = "".join(":" if title in self.words else "-" for title in self.columns)
        return Table.of(name, self.titles, self.rows, signs)


def filled(columns: Mapping[str, Callable[[Row], Cell]], rows: Sequence[Row]) -> dict[str, list[Cell]]:
    """Return the cells of each column by its title, without columns that hold nothing."""
    cells = {title: [cell(row) for row in rows] for title, cell in columns.items()}
    return {title: column for title, column in cells.items() if any(cell != ABSENT for cell in column)}


def score_cell(value: float | None) -> Cell:
    """Return a score of three decimals."""
    return ABSENT if value is None or math.isnan(value) else Cell(f"{value:.3f}", value)


def ranks_cell(before: Ranks | None, after: Ranks | None) -> Cell:
    """Return the ranks that are left open before and after, such as ``1-2 → 3``."""
    if before is None or after is None:
        return ABSENT
    return Cell(f"{_span(before)} → {_span(after)}", sum(after) / 2)


def without_nan(value: Any) -> Any:
    """Return facts for programs: None in place of what is not known."""
    if isinstance(value, Mapping):
        return {key: without_nan(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(one) for one in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def folders_by_suite(runs: pd.DataFrame) -> dict[str, list[Path]]:
    """Return by suite the folders that its runs lie in; folders of one suite belong together.

    Args:
        runs: The rows of ``load_results``.
    """
    folders: dict[str, dict[Path, None]] = defaultdict(dict)
    for run in runs.itertuples():
        folders[str(run.suite)][Path(str(run.path)).resolve().parent] = None
    return {suite: list(places) for suite, places in folders.items()}


def run_ids(runs: pd.DataFrame) -> set[str]:
    """Return the ids of all runs, those of every fold."""
    return {folder.name for run in runs.itertuples() for folder in folders_of(run)}


def _span(bounds: Ranks) -> str:
    return str(bounds[0]) if bounds[0] == bounds[1] else f"{bounds[0]}-{bounds[1]}"
