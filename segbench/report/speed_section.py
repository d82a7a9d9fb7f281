"""The section of a report that shows everything that was measured of the networks' speed."""

from __future__ import annotations

from typing import Any

import pandas as pd

from segbench.report.measured import machine_of
from segbench.report.speed import speed_frame
from segbench.report.tables import markdown_table
from segbench.report.text import byte_count, escape_markdown, is_absent, rate
from segbench.results.speed_record import SpeedStatus


def speed_section(runs: pd.DataFrame) -> str:
    """Return a table of everything that was measured of the speed of these runs' networks; empty without any."""
    records = {record.id: record for given in runs["speed"] if not is_absent(given) for record in given}
    if not records:
        return ""
    frame = speed_frame(records.values()).sort_values(["task", "model", "batch_size"])
    rows = [[escape_markdown(cell) for cell in _cells(row)] for _, row in frame.iterrows()]
    machines = dict.fromkeys(machine_of(record) for record in records.values())
    words = (
        f"Measured by `segbench speed` on {', '.join(map(escape_markdown, machines))}: img/s is the median of n fresh "
        "processes with half their range, p50 and p90 are of single calls, each waited for. Loading over training "
        "tells whether a run waits for its input: below 1 it does."
    )
    return f"## Speed\n\n{words}\n\n" + markdown_table(_TITLES, rows, "::-:" + "-" * 7 + ":")


_TITLES = (
    *("task", "network", "batch", "how", "n", "img/s", "p50 ms", "p90 ms"),
    *("memory", "J/img", "loading/training", "note"),
)


def _cells(row: pd.Series[Any]) -> list[str]:
    how = [row["size"], row["precision"], "channels last" if row["channels_last"] else "", row["mode"], row["output"]]
    measured = row["status"] == SpeedStatus.MEASURED
    half_range = (row["images_per_second_high"] - row["images_per_second_low"]) / 2 if row["restarts"] > 1 else None
    notes = [] if measured else [str(row["status"]), str(row["reason"])]
    notes += ["not steady"] if measured and not row["steady"] else []
    notes += ["throttled"] if row["throttled"] is True else []
    return [
        str(row["task"]),
        str(row["model"]),
        str(row["batch_size"]),
        ", ".join(str(part) for part in how if part),
        str(row["restarts"]),
        rate(row["images_per_second"], half_range) if measured else "",
        rate(row["latency_p50_ms"]),
        rate(row["latency_p90_ms"]),
        byte_count(row["peak_memory_bytes"]),
        rate(row["joules_per_image"]),
        rate(row["loading_ratio"]),
        ": ".join(notes),
    ]
