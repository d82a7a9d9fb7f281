"""The section of a report with all speed measurements."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from segbench.report.blocks import Block, Cell, Code, Heading, Paragraph, Table
from segbench.report.ranking.speed_columns import machine_of
from segbench.report.ranking.speed_summary import speed_frame
from segbench.report.text import byte_count, is_absent, rate
from segbench.results.speed.fingerprint import HARD_KEYS, fact, machine_digest
from segbench.results.speed.record import SpeedRecord, SpeedStatus


def speed_section(runs: pd.DataFrame) -> list[Block]:
    """Return a table of all speed records of these runs' networks; nothing without any."""
    records = {record.id: record for given in runs["speed"] if not is_absent(given) for record in given}
    if not records:
        return []
    machines = machine_names(records.values())
    whose = {name: machines[machine_digest(record.environment)] for name, record in records.items()}
    frame = speed_frame(records.values()).assign(machine=[whose[name] for name in records])
    frame = frame.sort_values(["task", "model", "batch_size", "machine"])
    lines = [_cells(row) for _, row in frame.iterrows()]
    needless = set() if len(machines) > 1 else {"machine"}
    titles = [title for title in _RIGHT if title not in needless and any(line[title].text for line in lines)]
    words = (
        f" on {', '.join(machines.values())}. img/s: the median of n fresh processes ± half their range. p50 and p90: "
        "latency of single calls, each synchronized. loading/training: images per second of the loader over those of a "
        "training step; below 1, training waits for its input."
    )
    signs = "".join("-" if _RIGHT[title] else ":" for title in titles)
    table = Table.of("speed", titles, [[line[title] for title in titles] for line in lines], signs)
    return [Heading("Speed", link="Speed"), Paragraph.of("Measured by ", Code("segbench speed"), words), table]


def machine_names(records: Iterable[SpeedRecord]) -> dict[str, str]:
    """Return a unique name for each machine, by digest."""
    found = {machine_digest(record.environment): record for record in records}
    rivals: dict[str, list[SpeedRecord]] = {}
    for record in found.values():
        rivals.setdefault(machine_of(record), []).append(record)
    return {digest: _machine_name(record, rivals[machine_of(record)]) for digest, record in found.items()}


def _machine_name(record: SpeedRecord, rivals: Sequence[SpeedRecord]) -> str:
    facts = {key: {str(fact(rival.environment, key)) for rival in rivals} for key in HARD_KEYS}
    apart = [f"{key} {fact(record.environment, key)}" for key, values in facts.items() if len(values) > 1]
    return f"{machine_of(record)} ({', '.join(apart)})" if apart else machine_of(record)


_RIGHT = {
    "task": False,
    "network": False,
    "batch": True,
    "how": False,
    "machine": False,
    **dict.fromkeys(("n", "img/s", "p50 ms", "p90 ms", "memory", "J/img", "loading/training"), True),
    "note": False,
}
"""The columns, and whether they are right-aligned; empty columns are left out."""


def _cells(row: pd.Series[Any]) -> dict[str, Cell]:
    numbers = " ".join(str(part) for part in (row["precision"], row["casting"]) if not is_absent(part))
    how = [row["size"], numbers, "channels last" if row["channels_last"] else "", row["mode"], row["output"]]
    measured = row["status"] == SpeedStatus.MEASURED
    half_range = (row["images_per_second_high"] - row["images_per_second_low"]) / 2 if row["restarts"] > 1 else None
    notes = [] if measured else [str(row["status"]), str(row["reason"])]
    notes += ["not steady"] if measured and not row["steady"] else []
    notes += ["throttled"] if row["throttled"] is True else []
    return {
        "task": Cell(str(row["task"])),
        "network": Cell(str(row["model"])),
        "batch": _number(str(row["batch_size"]), row["batch_size"]),
        "how": Cell(", ".join(str(part) for part in how if part and not is_absent(part))),
        "machine": Cell(str(row["machine"])),
        "n": _number(str(row["restarts"]), row["restarts"]),
        "img/s": _number(rate(row["images_per_second"], half_range) if measured else "", row["images_per_second"]),
        "p50 ms": _number(rate(row["latency_p50_ms"]), row["latency_p50_ms"]),
        "p90 ms": _number(rate(row["latency_p90_ms"]), row["latency_p90_ms"]),
        "memory": _number(byte_count(row["peak_memory_bytes"]), row["peak_memory_bytes"]),
        "J/img": _number(rate(row["joules_per_image"]), row["joules_per_image"]),
        "loading/training": _number(rate(row["loading_ratio"]), row["loading_ratio"]),
        "note": Cell(": ".join(notes)),
    }


def _number(text: str, value: Any) -> Cell:
    return Cell(text, None if is_absent(value) else float(value))
