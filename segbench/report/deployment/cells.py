"""The cells of a deployment table, for the terminal and for reports."""

from __future__ import annotations

import math
from collections.abc import Callable

from segbench.config.sections.deploy import REFERENCE
from segbench.report.blocks import Cell
from segbench.report.deployment.rows import DeploymentRow, DeploymentTable, signed
from segbench.report.further_tests import ABSENT, ShownTable, filled, ranks_cell, score_cell
from segbench.report.text import byte_count, printable, rate


def shown(table: DeploymentTable) -> ShownTable:
    """Return a table as it is shown."""
    device = "" if table.device == "cpu" else f" on {table.device}"
    return ShownTable(
        columns=columns_of(table),
        words=("model", "target"),
        whole=("model", "target"),
        reasons=reasons_of(table),
        ending=f"{table.images} test images{device}. {' '.join(table.verdicts)}".strip(),
        facts=table.facts(),
    )


def columns_of(table: DeploymentTable) -> dict[str, list[Cell]]:
    """Return the cells of each column by its title, without columns that hold nothing."""
    columns: dict[str, Callable[[DeploymentRow], Cell]] = {
        "model": lambda row: Cell(printable(row.label)),
        "target": lambda row: Cell(row.name),
        "mIoU": lambda row: score_cell(row.mean_iou),
        "change": _change,
        "agreement": _agreement,
        "rank": lambda row: ranks_cell(row.rank_before, row.rank),
        "ms": lambda row: ABSENT if row.latency_ms is None else Cell(f"{row.latency_ms:.3g}", row.latency_ms),
        "speed-up": lambda row: ABSENT if row.speedup is None else Cell(f"{row.speedup:.2f}", row.speedup),
        "img/s": lambda row: ABSENT if row.images_per_second is None else Cell(rate(row.images_per_second)),
        "memory": lambda row: _bytes(row.peak_memory_bytes),
        "file": lambda row: _bytes(row.file_bytes),
        "export s": lambda row: ABSENT if row.export_seconds is None else Cell(f"{row.export_seconds:.1f}"),
    }
    return filled(columns, table.rows)


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


def _bytes(size: int | None) -> Cell:
    return ABSENT if size is None else Cell(byte_count(size), size)
