"""Speed columns of a leaderboard: selects the speed cases of each network."""

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
"""Speed columns of a row; all absent without measurements."""

Network = Sequence[SpeedRecord]
"""All speed records of one network, and of loading its images."""

_PRECISIONS = ("fp32", "tf32", "bf16", "fp16")
_OUTPUTS = ("logits", "classes", "labels")


def speed_figures(networks: Sequence[Network], *, input_size: tuple[int, int] | None = None) -> list[dict[str, Any]]:
    """Return the ``FIGURES`` of each network of one table.

    All come from one configuration (machine, size, precision, mode, output): the one in which most networks were
    measured. Among equals it is the simplest: test image size, eager, fp32, logits. Networks without a record in it
    have no figures. Throughput is that of the fastest batch size, latency that of single images, memory that of the
    smallest batch.

    Args:
        networks: The records of each network.
        input_size: Height and width of a transformed test image.
    """
    inference = _commonest([_of(records, Task.INFERENCE) for records in networks], input_size)
    machines = {
        machine_digest(record.environment)
        for records in networks
        for record in _of(records, Task.INFERENCE)
        if _configuration(record) == inference
    }
    steps = [_of(records, Task.TRAINING) for records in networks]
    if machines:
        steps = [[step for step in given if machine_digest(step.environment) in machines] for given in steps]
    training = _commonest(steps, input_size)
    return [_row(records, inference, training) for records in networks]


def single_image_records(
    networks: Sequence[Network], *, input_size: tuple[int, int] | None = None
) -> list[SpeedRecord | None]:
    """Return each network's single-image inference in the configuration of ``speed_figures``; None without it."""
    configuration = _commonest([_of(records, Task.INFERENCE) for records in networks], input_size)
    return [
        next(
            (
                record
                for record in _of(records, Task.INFERENCE)
                if record.case.batch_size == 1 and _configuration(record) == configuration
            ),
            None,
        )
        for records in networks
    ]


def configuration_words(record: SpeedRecord) -> str:
    """Describe the configuration of an inference case, such as ``360x480, fp32, eager, logits, 1 thread, AMD EPYC``."""
    case = record.case
    threads = [f"{case.threads} thread{'s' if case.threads > 1 else ''}"] if case.threads else []
    layout = ["channels last"] if case.channels_last else []
    size = f"{case.size[0]}x{case.size[1]}"
    return ", ".join([size, case.precision_label, *layout, case.mode, str(case.output), *threads, machine_of(record)])


def machine_of(record: SpeedRecord) -> str:
    """Return the name of the machine of a case."""
    known = fact(record.environment, "accelerator.name") or fact(record.environment, "processor")
    return str(known or record.case.device)


def pareto_front(accuracy: Sequence[float], speed: Sequence[float | None]) -> list[bool | None]:
    """Return for each network whether it is on the Pareto front (not dominated in both); None without speed."""
    points = [(a, s) for a, s in zip(accuracy, speed, strict=True) if not is_absent(s)]
    return [
        None if is_absent(s) else not any(_dominates(other, (a, s)) for other in points)
        for a, s in zip(accuracy, speed, strict=True)
    ]


def _dominates(one: tuple[float, Any], other: tuple[float, Any]) -> bool:
    return one[0] >= other[0] and one[1] >= other[1] and one != other


def _of(records: Network, task: Task) -> list[SpeedRecord]:
    return [record for record in records if record.case.task is task and record.status is SpeedStatus.MEASURED]


def _configuration(record: SpeedRecord) -> str:
    """Return the configuration as text for comparison; must be equal between rows."""
    case = record.case.model_dump(mode="json", exclude={"label", "model"})
    if record.case.task is Task.INFERENCE:
        del case["batch_size"]
    return canonical([case, machine_digest(record.environment)])


def _commonest(networks: Iterable[Sequence[SpeedRecord]], input_size: tuple[int, int] | None) -> str | None:
    """Return the configuration in which most networks were measured, the simplest among equals; None without any."""
    by_situation: dict[str, SpeedRecord] = {}
    counts: Counter[str] = Counter()
    for records in networks:
        found = {_configuration(record): record for record in records}
        by_situation |= found
        counts.update(found.keys())
    if not counts:
        return None
    return min(counts, key=lambda name: (-counts[name], *_simplicity_key(by_situation[name], input_size), name))


def _simplicity_key(record: SpeedRecord, input_size: tuple[int, int] | None) -> tuple[Any, ...]:
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
    calls = [record for record in _of(records, Task.INFERENCE) if _configuration(record) == inference]
    steps = [record for record in _of(records, Task.TRAINING) if _configuration(record) == training]
    loading = _of(records, Task.LOADING)
    row: dict[str, Any] = dict.fromkeys(FIGURES)
    if calls:
        row |= _inference(speed_frame(calls)) | {"speed_situation": configuration_words(calls[0])}
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
