"""The section of a report that shows everything that was measured of the networks' speed."""

from __future__ import annotations

from typing import Any

import pandas as pd

from segbench.report.blocks import Block, Cell, Code, Heading, Paragraph, Table
from segbench.report.measured import machine_of
from segbench.report.speed import speed_frame
from segbench.report.text import byte_count, is_absent, rate
from segbench.results.speed_record import SpeedStatus


def speed_section(runs: pd.DataFrame) -> list[Block]:
    """Return a table of everything that was measured of the speed of these runs' networks; nothing without any."""
    records = {record.id: record for given in runs["speed"] if not is_absent(given) for record in given}
    if not records:
        return []
    frame = speed_frame(records.values()).sort_values(["task", "model", "batch_size"])
    machines = dict.fromkeys(machine_of(record) for record in records.values())
    words = (
        f" on {', '.join(machines)}: img/s is the median of n fresh "
        "processes with half their range, p50 and p90 are of single calls, each waited for. Loading over training "
        "tells whether a run waits for its input: below 1 it does."
    )
    table = Table.of("speed", _TITLES, [_cells(row) for _, row in frame.iterrows()], "::-:" + "-" * 7 + ":")
    return [Heading("Speed"), Paragraph.of("Measured by ", Code("segbench speed"), words), table]


_TITLES = (
    *("task", "network", "batch", "how", "n", "img/s", "p50 ms", "p90 ms"),
    *("memory", "J/img", "loading/training", "note"),
)


def _cells(row: pd.Series[Any]) -> list[Cell | str]:
    how = [row["size"], row["precision"], "channels last" if row["channels_last"] else "", row["mode"], row["output"]]
    measured = row["status"] == SpeedStatus.MEASURED
    half_range = (row["images_per_second_high"] - row["images_per_second_low"]) / 2 if row["restarts"] > 1 else None
    notes = [] if measured else [str(row["status"]), str(row["reason"])]
    notes += ["not steady"] if measured and not row["steady"] else []
    notes += ["throttled"] if row["throttled"] is True else []
    return [
        str(row["task"]),
        str(row["model"]),
        _number(str(row["batch_size"]), row["batch_size"]),
        ", ".join(str(part) for part in how if part),
        _number(str(row["restarts"]), row["restarts"]),
        _number(rate(row["images_per_second"], half_range) if measured else "", row["images_per_second"]),
        _number(rate(row["latency_p50_ms"]), row["latency_p50_ms"]),
        _number(rate(row["latency_p90_ms"]), row["latency_p90_ms"]),
        _number(byte_count(row["peak_memory_bytes"]), row["peak_memory_bytes"]),
        _number(rate(row["joules_per_image"]), row["joules_per_image"]),
        _number(rate(row["loading_ratio"]), row["loading_ratio"]),
        ": ".join(notes),
    ]


def _number(text: str, value: Any) -> Cell:
    return Cell(text, None if is_absent(value) else float(value))
