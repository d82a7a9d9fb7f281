"""Measured speed beside scores: which of a network's stored speed cases stand in a leaderboard's row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from segbench.report.ranking.speed_summary import speed_frame
from segbench.report.text import canonical, is_absent
from segbench.results.speed.fingerprint import fact, machine_digest
from segbench.results.speed.record import SpeedRecord, SpeedStatus, Task

REAL_FIGURES = (
    *("throughput_images_per_second", "throughput_low", "throughput_high"),
    *("latency_p50_ms", "latency_p90_ms", "latency_p99_ms", "joules_per_image"),
    *("training_step_images_per_second", "loading_ratio"),
)
WHOLE_FIGURES = ("throughput_batch_size", "inference_memory_bytes", "training_memory_bytes", "speed_restarts")
FIGURES = (*REAL_FIGURES, *WHOLE_FIGURES, "speed_steady", "speed_situation")
"""What a row tells of a network's speed; all of it absent where nothing was measured."""

Network = Sequence[SpeedRecord]
"""All that was measured of one network, and the loading of its images."""

_PRECISIONS = ("fp32", "tf32", "bf16", "fp16")
_OUTPUTS = ("logits", "classes", "labels")


def speed_figures(networks: Sequence[Network], *, input_size: tuple[int, int] | None = None) -> list[dict[str, Any]]:
    """Return the ``FIGURES`` of each network of one table.

    All of them come from one situation (machine, size, compute, mode, what is delivered), that in which most
    networks were measured; among equals the plainest: the test images' own size, eager, fp32, logits. A network that
    was not measured in it has none. Throughput is that of the fastest batch, latency is of single images, memory is
    that of the smallest batch.

    Args:
        networks: By network: its records.
        input_size: Height and width of a test image as networks see it.
    """
    inference = _commonest([_of(records, Task.INFERENCE) for records in networks], input_size)
    machines = {
        machine_digest(record.environment)
        for records in networks
        for record in _of(records, Task.INFERENCE)
        if _situation(record) == inference
    }
    steps = [_of(records, Task.TRAINING) for records in networks]
    if machines:
        steps = [[step for step in given if machine_digest(step.environment) in machines] for given in steps]
    training = _commonest(steps, input_size)
    return [_row(records, inference, training) for records in networks]


def single_image_records(
    networks: Sequence[Network], *, input_size: tuple[int, int] | None = None
) -> list[SpeedRecord | None]:
    """Return of each network the inference of single images in the situation of ``speed_figures``; None without it."""
    situation = _commonest([_of(records, Task.INFERENCE) for records in networks], input_size)
    return [
        next(
            (
                record
                for record in _of(records, Task.INFERENCE)
                if record.case.batch_size == 1 and _situation(record) == situation
            ),
            None,
        )
        for records in networks
    ]


def situation_words(record: SpeedRecord) -> str:
    """Return the situation of an inference case, such as ``360x480, fp32, eager, logits, 1 thread, AMD EPYC``."""
    case = record.case
    threads = [f"{case.threads} thread{'s' if case.threads > 1 else ''}"] if case.threads else []
    layout = ["channels last"] if case.channels_last else []
    size = f"{case.size[0]}x{case.size[1]}"
    return ", ".join([size, case.precision_label, *layout, case.mode, str(case.output), *threads, machine_of(record)])


def machine_of(record: SpeedRecord) -> str:
    """Return the name of what a case was measured on."""
    known = fact(record.environment, "accelerator.name") or fact(record.environment, "processor")
    return str(known or record.case.device)


def pareto_front(accuracy: Sequence[float], speed: Sequence[float | None]) -> list[bool | None]:
    """Tell of each network whether no other one is at least as good in both and better in one; None without speed."""
    points = [(a, s) for a, s in zip(accuracy, speed, strict=True) if not is_absent(s)]
    return [
        None if is_absent(s) else not any(_dominates(other, (a, s)) for other in points)
        for a, s in zip(accuracy, speed, strict=True)
    ]


def _dominates(one: tuple[float, Any], other: tuple[float, Any]) -> bool:
    return one[0] >= other[0] and one[1] >= other[1] and one != other


def _of(records: Network, task: Task) -> list[SpeedRecord]:
    return [record for record in records if record.case.task is task and record.status is SpeedStatus.MEASURED]


def _situation(record: SpeedRecord) -> str:
    """Return, as a text to compare, all that has to be equal between rows."""
    case = record.case.model_dump(mode="json", exclude={"label", "model"})
    if record.case.task is Task.INFERENCE:
        del case["batch_size"]
    return canonical([case, machine_digest(record.environment)])


def _commonest(networks: Iterable[Sequence[SpeedRecord]], input_size: tuple[int, int] | None) -> str | None:
    """Return the situation in which most networks were measured; the plainest among equals, None without any."""
    by_situation: dict[str, SpeedRecord] = {}
    counts: Counter[str] = Counter()
    for records in networks:
        found = {_situation(record): record for record in records}
        by_situation |= found
        counts.update(found.keys())
    if not counts:
        return None
    return min(counts, key=lambda name: (-counts[name], *_fanciness(by_situation[name], input_size), name))


def _fanciness(record: SpeedRecord, input_size: tuple[int, int] | None) -> tuple[Any, ...]:
    case = record.case
    return (
        input_size is not None and case.size != input_size,
        case.mode != "eager",
        _PRECISIONS.index(case.precision) if case.precision in _PRECISIONS else len(_PRECISIONS),
        case.precision_label.endswith("autocast"),
        case.channels_last,
        _OUTPUTS.index(str(case.output)),
    )


def _row(records: Network, inference: str | None, training: str | None) -> dict[str, Any]:
    calls = [record for record in _of(records, Task.INFERENCE) if _situation(record) == inference]
    steps = [record for record in _of(records, Task.TRAINING) if _situation(record) == training]
    loading = _of(records, Task.LOADING)
    row: dict[str, Any] = dict.fromkeys(FIGURES)
    if calls:
        row |= _inference(speed_frame(calls)) | {"speed_situation": situation_words(calls[0])}
    if steps:
        step = speed_frame([*steps[:1], *loading]).iloc[0]
        row["training_step_images_per_second"] = step["images_per_second"]
        row["training_memory_bytes"] = _whole(step["peak_memory_bytes"])
        row["loading_ratio"] = step["loading_ratio"]
    return row


def _inference(calls: pd.DataFrame) -> dict[str, Any]:
    fastest = calls.iloc[int(calls["images_per_second"].astype(float).argmax())]
    smallest = calls.iloc[int(calls["batch_size"].astype(int).argmin())]
    single = smallest if smallest["batch_size"] == 1 else pd.Series(dtype=object)
    return {
        "throughput_images_per_second": fastest["images_per_second"],
        "throughput_low": fastest["images_per_second_low"],
        "throughput_high": fastest["images_per_second_high"],
        "throughput_batch_size": int(fastest["batch_size"]),
        **{name: single.get(name) for name in ("latency_p50_ms", "latency_p90_ms", "latency_p99_ms")},
        "joules_per_image": fastest["joules_per_image"],
        "inference_memory_bytes": _whole(smallest["peak_memory_bytes"]),
        "speed_restarts": int(calls["restarts"].min()),
        "speed_steady": bool(calls["steady"].all()),
    }


def _whole(value: Any) -> int | None:
    return None if is_absent(value) else int(value)
