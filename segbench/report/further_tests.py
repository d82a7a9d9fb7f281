"""What tables of further tests of trained networks share: robustness and deployments, in terminals and reports."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import pandas as pd

from segbench.errors import StoreError
from segbench.report.blocks import Cell, Table
from segbench.report.ranking.paired_order import Ranks
from segbench.report.runs.folds import folders_of

Row = TypeVar("Row")
Run = TypeVar("Run", bound="Tested")
TableOfTests = TypeVar("TableOfTests")

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


class Tested(Protocol):
    """One network trained with one seed and tested again, all folds together."""

    @property
    def label(self) -> str:
        """The network, unique among networks of the suite."""

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of its runs: one, or of a cross-validation one for each fold."""


class Network(NamedTuple, Generic[Run]):
    """One network with its trainings.

    Attributes:
        label: Its label.
        runs: Its runs, by seed.
    """

    label: str
    runs: tuple[Run, ...]


def networks_by_table(runs: Iterable[Run], table: Callable[[Run], Hashable]) -> list[list[Network[Run]]]:
    """Return the networks of each table: ``table`` returns what all runs of one have in common."""
    tables: dict[Hashable, dict[str, list[Run]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        tables[table(run)][run.label].append(run)
    return [[Network(label, tuple(own)) for label, own in one.items()] for one in tables.values()]


@dataclass(frozen=True, eq=False)
class SuiteTests(Generic[TableOfTests]):
    """The further tests of one suite.

    Attributes:
        suite: The suite's name.
        tables: What they say.
        problems: What could not be read, and what does not belong together.
    """

    suite: str
    tables: tuple[TableOfTests, ...]
    problems: tuple[str, ...]


def tests_by_suite(
    runs: pd.DataFrame, load: Callable[..., Any], tables: Callable[[Any], Iterable[TableOfTests]]
) -> list[SuiteTests[TableOfTests]]:
    """Return the further tests of runs, by suite; folders of one suite belong together.

    Args:
        runs: The rows of ``load_results``.
        load: Reads the tests in folders of one suite: its ``runs``, and what are ``problems``.
        tables: Returns the tables of what was read.
    """
    ids = {folder.name for run in runs.itertuples() for folder in folders_of(run)}
    every = []
    for suite, folders in _folders_by_suite(runs).items():
        try:
            found = load(*folders)
        except StoreError as error:
            every.append(SuiteTests[TableOfTests](suite, (), (str(error),)))
            continue
        found = replace(found, runs=tuple(run for run in found.runs if ids.intersection(run.ids)))
        every.append(SuiteTests(suite, tuple(tables(found)), found.problems))
    return [one for one in every if one.tables or one.problems]


def facts_by_suite(
    found: Iterable[SuiteTests[TableOfTests]], facts: Callable[[TableOfTests], Any]
) -> list[dict[str, Any]]:
    """Return the same for programs, given what returns the facts of a table."""
    return [
        {"suite": one.suite, "tables": [facts(table) for table in one.tables], "notes": list(one.problems)}
        for one in found
    ]


def _folders_by_suite(runs: pd.DataFrame) -> dict[str, list[Path]]:
    folders: dict[str, dict[Path, None]] = defaultdict(dict)
    for run in runs.itertuples():
        folders[str(run.suite)][Path(str(run.path)).resolve().parent] = None
    return {suite: list(places) for suite, places in folders.items()}


def _span(bounds: Ranks) -> str:
    return str(bounds[0]) if bounds[0] == bounds[1] else f"{bounds[0]}-{bounds[1]}"
