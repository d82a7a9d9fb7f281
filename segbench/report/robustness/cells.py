"""The cells of a robustness table, for the terminal and for reports."""

from __future__ import annotations

import math
from collections.abc import Callable

from segbench.metrics.uncertainty import Interval
from segbench.report.blocks import Cell
from segbench.report.robustness.rows import RobustnessRow, RobustnessTable, percent
from segbench.report.text import printable

ABSENT = Cell("-")
TEXT_COLUMNS = ("model", "worst under")
"""Titles of the columns that hold words."""


def columns_of(table: RobustnessTable) -> dict[str, list[Cell]]:
    """Return the cells of each column by its title, without columns that hold nothing."""
    columns: dict[str, Callable[[RobustnessRow], Cell]] = {
        "model": lambda row: Cell(printable(row.label)),
        "clean": lambda row: _score(row.clean),
        "corrupted": lambda row: _score(row.corrupted),
        "loss": _loss,
        "lost": lambda row: _share(row.relative_loss),
        "worst under": _worst,
        "rank": _ranks,
        "ECE": _calibration,
        **{f"on {label}": _elsewhere(label) for label in table.elsewhere},
        "train": lambda row: _score(row.train),
        "gap": lambda row: ABSENT if row.gap is None else Cell(f"{row.gap:+.3f}", row.gap),
    }
    cells = {title: [cell(row) for row in table.rows] for title, cell in columns.items()}
    return {title: column for title, column in cells.items() if any(cell != ABSENT for cell in column)}


def condition_words(name: str) -> str:
    """Return a corruption as it stands in text, such as ``gaussian noise``."""
    return name.replace("_", " ")


def _score(value: float | None) -> Cell:
    return ABSENT if value is None or math.isnan(value) else Cell(f"{value:.3f}", value)


def _share(value: float) -> Cell:
    return ABSENT if math.isnan(value) else Cell(percent(value), value)


def _loss(row: RobustnessRow) -> Cell:
    loss: Interval | None = row.loss
    if loss is None or math.isnan(loss.low):
        return ABSENT
    return Cell(f"{loss.low:+.3f} to {loss.high:+.3f}", row.corrupted - row.clean)


def _worst(row: RobustnessRow) -> Cell:
    if row.worst is None:
        return ABSENT
    return Cell(f"{condition_words(row.worst)} {row.by_corruption[row.worst]:.3f}", row.by_corruption[row.worst])


def _ranks(row: RobustnessRow) -> Cell:
    if row.rank_clean is None or row.rank_corrupted is None:
        return ABSENT
    return Cell(f"{_bounds(row.rank_clean)} → {_bounds(row.rank_corrupted)}", sum(row.rank_corrupted) / 2)


def _bounds(bounds: tuple[int, int]) -> str:
    return str(bounds[0]) if bounds[0] == bounds[1] else f"{bounds[0]}-{bounds[1]}"


def _calibration(row: RobustnessRow) -> Cell:
    if math.isnan(row.calibration_error):
        return ABSENT
    before = "" if math.isnan(row.clean_calibration_error) else f"{row.clean_calibration_error:.3f} → "
    return Cell(f"{before}{row.calibration_error:.3f}", row.calibration_error)


def _elsewhere(label: str) -> Callable[[RobustnessRow], Cell]:
    return lambda row: _score(row.elsewhere.get(label))
