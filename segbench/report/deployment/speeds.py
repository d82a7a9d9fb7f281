"""Times of deployed networks, and how much faster than PyTorch they are where that can be told."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from segbench.report.ranking.speed_summary import peak_memory_of
from segbench.results.deployments.record import DeploymentRecord, Timing
from segbench.results.speed.fingerprint import HARD_KEYS, Difference, differences, machine_digest
from segbench.results.speed.record import SpeedStatus


class Speeds(NamedTuple):
    """Times of a network on a target, of all its trainings.

    Attributes:
        latency_ms: By process, the median call with the smallest batch.
        steady: Whether the warm-up of all of these processes became steady; None where it is not known.
        images_per_second: The best throughput over batches.
        peak_memory_bytes: The largest peak with the smallest batch.
        reason: Why there is no time, or no memory.
    """

    latency_ms: tuple[float, ...]
    steady: bool | None
    images_per_second: float | None
    peak_memory_bytes: int | None
    reason: str | None


class Speedup(NamedTuple):
    """How many times as fast as PyTorch a network is.

    Attributes:
        ratio: PyTorch's latency by this one, the median over trainings; None where the two do not compare.
        reason: Why they do not; None where they do, or where one of them has no time at all.
    """

    ratio: float | None
    reason: str | None


def speeds_of(records: Sequence[DeploymentRecord]) -> Speeds:
    """Return the times of a network on a target.

    Args:
        records: Those of its trainings that have a result.
    """
    timings = [timing for record in records for timing in record.timings]
    smallest = min((timing.batch_size for timing in timings), default=0)
    restarts = [restart for timing in timings if timing.batch_size == smallest for restart in timing.restarts]
    measured = [restart for restart in restarts if restart.status is SpeedStatus.MEASURED]
    warmups = [restart.warmup for restart in measured if restart.warmup is not None]
    peaks = [peak for restart in measured if (peak := peak_memory_of(restart)) is not None]
    rates: dict[int, list[float]] = defaultdict(list)
    for timing in timings:
        if timing.images_per_second is not None:
            rates[timing.batch_size].append(timing.images_per_second)
    return Speeds(
        latency_ms=tuple(1000 * restart.call_seconds for restart in measured if restart.call_seconds is not None),
        steady=all(warmup.steady for warmup in warmups) if warmups else None,
        images_per_second=max((statistics.median(found) for found in rates.values()), default=None),
        peak_memory_bytes=max(peaks, default=None),
        reason=_untimed(records, timings) or ("its memory is not known" if measured and not peaks else None),
    )


def speedup_of(records: Sequence[DeploymentRecord], references: Sequence[DeploymentRecord]) -> Speedup:
    """Return how many times as fast as PyTorch a network is, each training by itself.

    Times compare where they are of the same batches and image sizes and of the same machine, with as many threads.

    Args:
        records: Those of a target.
        references: Those of PyTorch.
    """
    by_run, ratios = {record.run: record for record in references}, []
    for record in records:
        reference = by_run.get(record.run)
        pair = _smallest(record), _smallest(reference) if reference is not None else None
        if pair[0] is None or reference is None:
            return Speedup(None, None)
        if pair[1] is None:
            return Speedup(None, "no speed-up is told: PyTorch was not timed")
        if (apart := _apart(pair[0], pair[1]) or _elsewhere(record, reference)) is not None:
            return Speedup(None, f"no speed-up is told: {apart}")
        ratios.append((pair[1].call_seconds or 0.0) / (pair[0].call_seconds or 1.0))
    return Speedup(statistics.median(ratios) if ratios else None, None)


def machines_of(records: Iterable[DeploymentRecord]) -> int:
    """Return on how many machines deployments were timed."""
    return len({machine_digest(record.environment) for record in records if record.timings})


def _untimed(records: Sequence[DeploymentRecord], timings: Sequence[Timing]) -> str | None:
    """Return why processes were not timed; None where all were."""
    reasons = [restart.reason for timing in timings for restart in timing.restarts if restart.reason]
    if reasons:
        return f"not timed: {reasons[0]}"
    return "not timed" if any(not record.timings for record in records) else None


def _smallest(record: DeploymentRecord) -> Timing | None:
    """Return the timing of the smallest batch; None where it has no time."""
    smallest = min(record.timings, key=lambda timing: timing.batch_size, default=None)
    return smallest if smallest is not None and smallest.call_seconds else None


def _apart(one: Timing, reference: Timing) -> str | None:
    """Return in which way two timings are of other images; None where they are of the same."""
    if one.batch_size != reference.batch_size:
        return f"timed with batches of {one.batch_size}, PyTorch of {reference.batch_size}"
    if one.size != reference.size:
        sizes = (f"{height}x{width}" for height, width in (one.size, reference.size))
        return "timed with images of {}, PyTorch of {}".format(*sizes)
    return None


def _elsewhere(record: DeploymentRecord, reference: DeploymentRecord) -> str | None:
    """Return in what the machine or its software was another one; None where it was the same."""
    found: list[Difference] = differences(reference.environment, record.environment, keys=HARD_KEYS)
    if not found:
        return None
    facts = ", ".join(f"{one.key} {one.now}, PyTorch {one.before}" for one in found)
    return f"timed on another machine or with other settings ({facts})"
