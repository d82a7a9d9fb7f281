"""Summarises speed records: latency, throughput, memory and energy, with spread over restarts."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from segbench.results.speed.fingerprint import differences
from segbench.results.speed.record import Restart, SpeedRecord, SpeedStatus, Task

P99_SAMPLES = 1000
"""Smallest number of samples for a 99th percentile."""

SPEED_COLUMNS = (
    *("task", "model", "size", "batch_size", "precision", "casting", "channels_last", "mode", "output"),
    *("device", "threads"),
    *("status", "reason", "restarts", "samples", "steady"),
    *("images_per_second", "images_per_second_low", "images_per_second_high"),
    *("latency_p50_ms", "latency_p90_ms", "latency_p99_ms", "first_call_seconds", "graph_breaks"),
    *(
        "forward_share",
        "backward_share",
        "optimizer_share",
        "start_seconds",
        "first_epoch_images_per_second",
        "loading_ratio",
    ),
    *("peak_memory_bytes", "reserved_memory_bytes", "joules_per_image", "steal_share", "throttled", "case"),
)
"""The columns of ``speed_frame``, in order."""


def speed_frame(records: Iterable[SpeedRecord]) -> pd.DataFrame:
    """Return one row per case with the columns ``SPEED_COLUMNS``.

    ``images_per_second`` is the batch size divided by the median over restarts of the median seconds of a call; ``low``
    and ``high`` are the slowest and fastest restart. On CUDA it uses device times of back-to-back calls. Latencies are
    host times of calls that are waited for, over the samples of all restarts. ``latency_p99_ms`` needs 1,000 samples.

    ``loading_ratio`` of a training case is the throughput of loading (if measured) divided by that of training; below
    1, a run waits for its input. Memory is the largest peak of all restarts: allocated memory on CUDA, elsewhere the
    growth of the process.
    """
    given = list(records)
    rows = [_row(record) for record in given]
    for record, row in zip(given, rows, strict=True):
        if record.case.task is Task.TRAINING:
            row["loading_ratio"] = _loading_ratio(record, row, given)
    return pd.DataFrame(rows, columns=list(SPEED_COLUMNS))


def _loading_ratio(training: SpeedRecord, row: dict[str, Any], records: list[SpeedRecord]) -> float | None:
    """Return the throughput of loading divided by that of training on the same machine; None if not measured."""
    rate = row.get("images_per_second")
    for record in records:
        case = record.case
        same = case.task is Task.LOADING and (case.size, case.channels) == (training.case.size, training.case.channels)
        if rate and same and not differences(record.environment, training.environment, keys=_PLACE):
            loading = _row(record).get("images_per_second")
            return loading / rate if loading else None
    return None


_PLACE = ("processor", "cores", "system", "accelerator.name")
"""Keys that must be equal for loading (on the CPU) and training (perhaps on an accelerator) to be compared."""


def _row(record: SpeedRecord) -> dict[str, Any]:
    case = record.case
    measured = [restart for restart in record.restarts if restart.status is SpeedStatus.MEASURED]
    reasons = [restart.reason for restart in record.restarts if restart.reason]
    row = {
        "task": str(case.task),
        "model": case.label,
        "size": f"{case.size[0]}x{case.size[1]}",
        "batch_size": case.batch_size,
        "precision": case.precision,
        "casting": case.precision_label.removeprefix(case.precision).strip() or None,
        "channels_last": case.channels_last,
        "mode": case.mode,
        "output": str(case.output) if case.task is Task.INFERENCE else None,
        "device": case.device,
        "threads": case.threads,
        "status": str(record.status),
        "reason": reasons[0] if reasons else None,
        "restarts": len(measured),
        "case": record.id,
    }
    return row | (_figures(record, measured) if measured else {})


def _figures(record: SpeedRecord, measured: list[Restart]) -> dict[str, Any]:
    images = record.case.images_per_call
    rates = [rate for rate in map(record.rate, measured) if rate is not None]
    warmups = [restart.warmup for restart in measured if restart.warmup]
    return {
        "samples": sum(len(restart.host_seconds) for restart in measured),
        "steady": all(warmup.steady for warmup in warmups),
        "images_per_second": record.images_per_second,
        "images_per_second_low": min(rates, default=None),
        "images_per_second_high": max(rates, default=None),
        "first_call_seconds": _median([warmup.first_call_seconds for warmup in warmups]),
        "graph_breaks": _largest([warmup.graph_breaks for warmup in warmups]),
        "peak_memory_bytes": _largest([peak_memory_of(restart) for restart in measured]),
        "reserved_memory_bytes": _largest([restart.memory.reserved_peak_bytes for restart in measured]),
        "joules_per_image": _median([_joules(restart, images) for restart in measured]),
        "steal_share": _largest([restart.conditions.steal_share for restart in measured]),
        "throttled": _any([restart.conditions.throttled for restart in measured]),
        **_latencies(measured),
        **_parts(measured, images),
    }


def _latencies(measured: list[Restart]) -> dict[str, float | None]:
    """Return percentiles of the calls of all restarts, in milliseconds."""
    times = 1000.0 * np.concatenate([np.asarray(restart.host_seconds) for restart in measured])
    p50, p90, p99 = (float(value) for value in np.percentile(times, [50, 90, 99]))
    return {
        "latency_p50_ms": p50,
        "latency_p90_ms": p90,
        "latency_p99_ms": p99 if len(times) >= P99_SAMPLES else None,
    }


def _parts(measured: list[Restart], images: int) -> dict[str, float | None]:
    """Return the times of the parts of a training step, or the start-up time of a loader."""
    medians = {
        name: _median([float(np.median(restart.parts_seconds[name])) for restart in measured])
        for name in measured[0].parts_seconds
        if all(restart.parts_seconds.get(name) for restart in measured)
    }
    step = sum(medians.get(part) or 0.0 for part in ("forward", "backward", "optimizer"))
    shares = {f"{part}_share": (medians[part] or 0.0) / step for part in medians if step and part in _STEP_PARTS}
    first = [
        sum(restart.parts_seconds["first"]) / len(restart.parts_seconds["first"])
        for restart in measured
        if restart.parts_seconds.get("first")
    ]
    rate = images / float(np.median(first)) if first else None
    return {**shares, "start_seconds": medians.get("start"), "first_epoch_images_per_second": rate}


_STEP_PARTS = ("forward", "backward", "optimizer")


def peak_memory_of(restart: Restart) -> int | None:
    """Return the peak without the further input batches."""
    memory, spare = restart.memory, restart.memory.spare_inputs_bytes or 0
    if memory.allocated_peak_bytes is not None:
        return max(0, memory.allocated_peak_bytes - spare)
    if memory.process_peak_bytes is None or memory.process_before_bytes is None:
        return None
    return max(0, memory.process_peak_bytes - memory.process_before_bytes - spare)


def _joules(restart: Restart, images: int) -> float | None:
    if restart.energy_joules is None or not restart.energy_calls:
        return None
    return restart.energy_joules / (restart.energy_calls * images)


def _median(values: list[float | None] | list[float]) -> float | None:
    present = [value for value in values if value is not None and math.isfinite(value)]
    return float(np.median(present)) if present else None


def _largest(values: list[int | None] | list[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return max(present) if present else None


def _any(values: list[bool | None]) -> bool | None:
    present = [value for value in values if value is not None]
    return any(present) if present else None
