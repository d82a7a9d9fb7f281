"""The cells of a robustness table, for the terminal and for reports."""

from __future__ import annotations

import math
from collections.abc import Callable

from segbench.metrics.uncertainty import Interval
from segbench.report.blocks import Cell
from segbench.report.further_tests import ABSENT, ShownTable, filled, ranks_cell, score_cell
from segbench.report.robustness.rows import RobustnessRow, RobustnessTable, percent
from segbench.report.text import printable


def shown(table: RobustnessTable) -> ShownTable:
    """Return a table as it is shown."""
    return ShownTable(
        columns=columns_of(table),
        words=("model", "worst under"),
        whole=("model",),
        reasons=reasons_of(table),
        ending=f"{table.images} test images. {table.verdict}" if table.corruptions else "",
        facts=table.facts(),
    )


def columns_of(table: RobustnessTable) -> dict[str, list[Cell]]:
    """Return the cells of each column by its title, without columns that hold nothing."""
    columns: dict[str, Callable[[RobustnessRow], Cell]] = {
        "model": lambda row: Cell(printable(row.label)),
        "clean": lambda row: score_cell(row.clean),
        "corrupted": lambda row: score_cell(row.corrupted),
        "loss": _loss,
        "lost": lambda row: _share(row.relative_loss),
        "worst under": _worst,
        "rank": lambda row: ranks_cell(row.rank_clean, row.rank_corrupted),
        "ECE": _calibration,
        **{f"on {label}": _elsewhere(label) for label in table.elsewhere},
        "train": lambda row: score_cell(row.train),
        "gap": lambda row: ABSENT if row.gap is None else Cell(f"{row.gap:+.3f}", row.gap),
    }
    return filled(columns, table.rows)


def reasons_of(table: RobustnessTable) -> list[str]:
    """Return why networks have no result under a condition."""
    return [f"{row.label}, {condition}: {reason}" for row in table.rows for condition, reason in row.failures.items()]


def condition_words(name: str) -> str:
    """Return a corruption as it stands in text, such as ``gaussian noise``."""
    return name.replace("_", " ")


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


def _calibration(row: RobustnessRow) -> Cell:
    if math.isnan(row.calibration_error):
        return ABSENT
    before = "" if math.isnan(row.clean_calibration_error) else f"{row.clean_calibration_error:.3f} → "
    return Cell(f"{before}{row.calibration_error:.3f}", row.calibration_error)


def _elsewhere(label: str) -> Callable[[RobustnessRow], Cell]:
    return lambda row: score_cell(row.elsewhere.get(label))
