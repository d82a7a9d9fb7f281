"""The cells of a deployment table, for the terminal and for reports."""

from __future__ import annotations

import math
from collections.abc import Callable

from segbench.config.sections.deploy import REFERENCE
from segbench.report.blocks import Cell
from segbench.report.deployment.rows import DeploymentRow, DeploymentTable, signed
from segbench.report.ranking.paired_order import Ranks
from segbench.report.text import byte_count, printable, rate

ABSENT = Cell("-")
TEXT_COLUMNS = ("model", "target")
"""Titles of the columns that hold words."""


def columns_of(table: DeploymentTable) -> dict[str, list[Cell]]:
    """Return the cells of each column by its title, without columns that hold nothing."""
    columns: dict[str, Callable[[DeploymentRow], Cell]] = {
        "model": lambda row: Cell(printable(row.label)),
        "target": lambda row: Cell(row.name),
        "mIoU": lambda row: ABSENT if math.isnan(row.mean_iou) else Cell(f"{row.mean_iou:.3f}", row.mean_iou),
        "change": _change,
        "agreement": lambda row: (
            ABSENT if row.agreement is None else Cell(f"{100 * row.agreement:.2f} %", row.agreement)
        ),
        "rank": lambda row: _ranks(row.rank_before, row.rank),
        "ms": lambda row: ABSENT if row.latency_ms is None else Cell(f"{row.latency_ms:.3g}", row.latency_ms),
        "speed-up": lambda row: ABSENT if row.speedup is None else Cell(f"{row.speedup:.2f}", row.speedup),
        "img/s": lambda row: ABSENT if row.images_per_second is None else Cell(rate(row.images_per_second)),
        "memory": lambda row: _bytes(row.peak_memory_bytes),
        "file": lambda row: _bytes(row.file_bytes),
        "export s": lambda row: ABSENT if row.export_seconds is None else Cell(f"{row.export_seconds:.1f}"),
    }
    cells = {title: [cell(row) for row in table.rows] for title, cell in columns.items()}
    return {title: column for title, column in cells.items() if any(cell != ABSENT for cell in column)}


def reasons_of(table: DeploymentTable) -> list[str]:
    """Return why rows have no result or no time, networks of one reason together."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in table.rows:
        if row.reason:
            found.setdefault((row.name, row.reason), []).append(row.label)
    return [f"{', '.join(labels)}, {name}: {reason}" for (name, reason), labels in found.items()]


def _change(row: DeploymentRow) -> Cell:
    """Return the change with its interval; that of PyTorch itself is none."""
    if math.isnan(row.change) or row.agreement is None or row.target == REFERENCE:
        return ABSENT
    interval = row.change_interval
    if interval is None or math.isnan(interval.low):
        return Cell(signed(row.change), row.change)
    return Cell(f"{signed(row.change)} ({signed(interval.low)} to {signed(interval.high)})", row.change)


def _agreement(row: DeploymentRow) -> Cell:
    return ABSENT if row.agreement is None else Cell(f"{100 * row.agreement:.2f} %", row.agreement)


def _ranks(before: Ranks | None, after: Ranks | None) -> Cell:
    if before is None or after is None:
        return ABSENT
    return Cell(f"{_span(before)} → {_span(after)}")


def _span(bounds: Ranks) -> str:
    return str(bounds[0]) if bounds[0] == bounds[1] else f"{bounds[0]}-{bounds[1]}"


def _bytes(size: int | None) -> Cell:
    return ABSENT if size is None else Cell(byte_count(size), size)
