"""The cells of a deployment table, for the terminal and for reports."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from segbench.report.blocks import Cell
from segbench.report.deployment.rows import DeploymentRow, DeploymentTable, signed
from segbench.report.deployment.verdicts import costs, ranking_verdicts
from segbench.report.further_tests import ABSENT, ShownTable, filled, ranks_cell, score_cell, without_nan
from segbench.report.text import byte_count, printable, rate

TOLD_APART = "*"
"""Marks a change that is told apart from none."""
NOT_STEADY = "(not steady)"
"""Marks a time whose warm-up did not become steady."""


def shown(table: DeploymentTable) -> ShownTable:
    """Return a table as it is shown."""
    device = "" if table.device == "cpu" else f" on {table.device}"
    return ShownTable(
        columns=columns_of(table),
        words=("model", "target"),
        whole=("model", "target"),
        reasons=reasons_of(table),
        ending="\n".join([" ".join([f"{table.images} test images{device}.", *costs(table)]), *ranking_verdicts(table)]),
        facts=facts_of(table),
    )


def facts_of(table: DeploymentTable) -> dict[str, Any]:
    """Return a table for programs, with its verdicts; what is not known is None."""
    facts: dict[str, Any] = without_nan(asdict(table) | {"verdicts": [*costs(table), *ranking_verdicts(table)]})
    return facts


def columns_of(table: DeploymentTable) -> dict[str, list[Cell]]:
    """Return the cells of each column by its title, without columns that hold nothing."""
    columns: dict[str, Callable[[DeploymentRow], Cell]] = {
        "model": lambda row: Cell(printable(row.label)),
        "target": lambda row: Cell(row.name),
        "mIoU": lambda row: score_cell(row.mean_iou),
        "change": _change,
        "agreement": _agreement,
        "rank": lambda row: ranks_cell(row.rank_before, row.rank),
        "ms": _latency,
        "speed-up": lambda row: ABSENT if row.speedup is None else Cell(f"{row.speedup:.2f}", row.speedup),
        "img/s": lambda row: ABSENT if row.images_per_second is None else Cell(rate(row.images_per_second)),
        "memory": lambda row: _bytes(row.peak_memory_bytes),
        "file": lambda row: _bytes(row.file_bytes),
        "export s": lambda row: ABSENT if row.export_seconds is None else Cell(f"{row.export_seconds:.1f}"),
    }
    return filled(columns, table.rows)


def reasons_of(table: DeploymentTable) -> list[str]:
    """Return why rows have no result, time or speed-up, networks of one reason together."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in table.rows:
        if row.reason:
            found.setdefault((row.name, row.reason), []).append(row.label)
    lines = [f"{', '.join(labels)}, {name}: {reason}" for (name, reason), labels in found.items()]
    if table.machines > 1:
        lines.append(f"timed on {table.machines} machines or settings, so that not all times compare between rows")
    return lines


def _change(row: DeploymentRow) -> Cell:
    """Return the change with its interval, marked where it is told apart from none; PyTorch itself has none."""
    if math.isnan(row.change) or row.is_reference:
        return ABSENT
    interval, mark = row.change_interval, TOLD_APART if row.changed else ""
    if interval is None or math.isnan(interval.low):
        return Cell(signed(row.change), row.change)
    return Cell(f"{signed(row.change)}{mark} ({signed(interval.low)} to {signed(interval.high)})", row.change)


def _latency(row: DeploymentRow) -> Cell:
    """Return the latency, marked where the warm-up of a process did not become steady."""
    if row.latency_ms is None:
        return ABSENT
    return Cell(f"{row.latency_ms:.3g}" + (f" {NOT_STEADY}" if row.steady is False else ""), row.latency_ms)


def _agreement(row: DeploymentRow) -> Cell:
    return ABSENT if row.agreement is None else Cell(f"{100 * row.agreement:.2f} %", row.agreement)


def _bytes(size: int | None) -> Cell:
    return ABSENT if size is None else Cell(byte_count(size), size)
