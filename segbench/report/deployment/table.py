"""What networks lose and gain on each target, and whether their order changes."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from segbench.config.sections.deploy import PRECISIONS, REFERENCE
from segbench.metrics.trainings import Scope
from segbench.metrics.uncertainty import Interval, plain_intervals
from segbench.report.deployment.load import DeployedRun, FoundDeployments
from segbench.report.deployment.rows import DeploymentRow, DeploymentTable
from segbench.report.ranking.intervals import LEAST_IMAGES
from segbench.report.ranking.paired_order import PairedOrder, RunTests, mean_iou_of, paired_order
from segbench.report.ranking.speed_summary import peak_memory_of
from segbench.results.deployments.record import DeployedTo, DeploymentRecord
from segbench.results.record import Status
from segbench.results.speed.record import SpeedStatus


class Network(NamedTuple):
    """One network with its trainings.

    Attributes:
        label: Its label.
        runs: Its runs, by seed.
    """

    label: str
    runs: tuple[DeployedRun, ...]


class Speeds(NamedTuple):
    """Times of a network on a target, of all its trainings.

    Attributes:
        latency_ms: By process, the median call with the smallest batch.
        images_per_second: The best throughput over batches.
        peak_memory_bytes: The largest peak.
        reason: Why there is no time.
    """

    latency_ms: tuple[float, ...]
    images_per_second: float | None
    peak_memory_bytes: int | None
    reason: str | None


def deployment_tables(found: FoundDeployments, *, resamples: int | None = None) -> list[DeploymentTable]:
    """Return a table for each protocol, device and set of images.

    Args:
        found: The deployments of a suite.
        resamples: How often to draw the images; as many as the number of tests allows by default.
    """
    tables: dict[tuple[str, str, tuple[str, ...]], dict[str, list[DeployedRun]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for run in found.runs:
        tables[run.protocol, run.device, run.images][run.label].append(run)
    return [_table([Network(label, tuple(runs)) for label, runs in one.items()], resamples) for one in tables.values()]


def _table(networks: Sequence[Network], resamples: int | None) -> DeploymentTable:
    networks = sorted(networks, key=lambda network: -_mean_iou(network, REFERENCE))
    names = _targets(networks)
    orders = {
        target: order
        for target in names
        if target != REFERENCE and (order := _order(networks, target, resamples)) is not None
    }
    any_run = networks[0].runs[0]
    scopes = {order.scope for order in orders.values()}
    return DeploymentTable(
        protocol=any_run.protocol,
        device=any_run.device,
        images=len(any_run.images),
        rows=tuple(
            _row(network, target, name, networks, orders.get(target))
            for network in networks
            for target, name in names.items()
            if any(target in run.records for run in network.runs)
        ),
        scope=Scope.NETWORKS if scopes == {Scope.NETWORKS} else Scope.WEIGHTS,
        changes={target: order.changes for target, order in orders.items()},
        names=names,
    )


def _targets(networks: Iterable[Network]) -> dict[str, str]:
    """Return all targets with their names, PyTorch first, in the order of runtimes and precisions."""
    found: dict[str, DeployedTo] = {}
    for network in networks:
        for run in network.runs:
            found |= {key: records[0].target for key, records in run.records.items()}
    runtimes = list(PRECISIONS)

    def place(item: tuple[str, DeployedTo]) -> tuple[int, float, int]:
        target = item[1]
        return runtimes.index(target.runtime), target.prune or 0.0, PRECISIONS[target.runtime].index(target.precision)

    on_cpu = {key: target.model_copy(update={"device": "cpu"}) for key, target in found.items()}
    return {key: str(target) for key, target in sorted(on_cpu.items(), key=place)}


def _deployed(networks: Sequence[Network], target: str) -> list[Network]:
    """Return the networks whose every training has a result on a target, fed as the others were."""
    return [network for network in networks if all(_fed_alike(run, target) for run in network.runs)]


def _fed_alike(run: DeployedRun, target: str) -> bool:
    """Return whether a run has a result on a target, and was fed with the same pixels as in PyTorch."""
    if target not in run.counts:
        return False
    fed, reference = ([record.test_digest for record in run.records[key]] for key in (target, REFERENCE))
    return fed == reference


def _order(networks: Sequence[Network], target: str, resamples: int | None) -> PairedOrder | None:
    there = _deployed(networks, target)
    if not there:
        return None
    units = there[0].runs[0].groups or there[0].runs[0].images
    if len(set(units)) < LEAST_IMAGES:
        return None
    tests = [
        (network.label, [RunTests(run.counts[REFERENCE], [run.counts[target]]) for run in network.runs])
        for network in there
    ]
    return paired_order(tests, units, resamples=resamples)


def _row(
    network: Network, target: str, name: str, networks: Sequence[Network], order: PairedOrder | None
) -> DeploymentRow:
    records = [record for run in network.runs for record in run.records.get(target, ())]
    completed = [record for record in records if record.status is Status.COMPLETED]
    speeds, reference = _speeds(completed), _speeds(_records(network, REFERENCE))
    there = [one.label for one in _deployed(networks, target)]
    place = there.index(network.label) if network.label in there else None
    latency = statistics.median(speeds.latency_ms) if speeds.latency_ms else None
    score = _mean_iou(network, target) if place is not None else math.nan
    agreements = [record.agreement for record in completed if record.agreement]
    ranked = order is not None and place is not None and bool(order.ranks_before)
    return DeploymentRow(
        label=network.label,
        target=target,
        name=name,
        seeds=len(network.runs),
        mean_iou=score,
        change=score - _mean_iou(network, REFERENCE),
        change_interval=_interval(order, place),
        agreement=sum(one.equal for one in agreements) / sum(one.pixels for one in agreements) if agreements else None,
        largest_difference=max((record.largest_difference or 0.0 for record in completed), default=None),
        latency_ms=latency,
        latency_low_ms=min(speeds.latency_ms, default=None),
        latency_high_ms=max(speeds.latency_ms, default=None),
        speedup=statistics.median(reference.latency_ms) / latency if latency and reference.latency_ms else None,
        images_per_second=speeds.images_per_second,
        peak_memory_bytes=speeds.peak_memory_bytes,
        file_bytes=max((record.file_bytes or 0 for record in completed), default=None),
        export_seconds=_median(record.export_seconds for record in completed),
        rank_before=order.ranks_before[place] if order and ranked and place is not None else None,
        rank=order.ranks_after[place] if order and ranked and place is not None else None,
        reason=next((record.reason for record in records if record.reason), speeds.reason),
    )


def _records(network: Network, target: str) -> list[DeploymentRecord]:
    return [record for run in network.runs for record in run.records.get(target, ())]


def _mean_iou(network: Network, target: str) -> float:
    return float(
        np.mean([mean_iou_of(run.counts[target]) if target in run.counts else math.nan for run in network.runs])
    )


def _interval(order: PairedOrder | None, place: int | None) -> Interval | None:
    return None if order is None or place is None else plain_intervals(order.difference)[place]


def _speeds(records: Sequence[DeploymentRecord]) -> Speeds:
    timings = [timing for record in records for timing in record.timings]
    smallest = min((timing.batch_size for timing in timings), default=0)
    calls = [
        restart.call_seconds
        for timing in timings
        if timing.batch_size == smallest
        for restart in timing.restarts
        if restart.status is SpeedStatus.MEASURED
    ]
    rates: dict[int, list[float]] = defaultdict(list)
    for timing in timings:
        if timing.images_per_second is not None:
            rates[timing.batch_size].append(timing.images_per_second)
    restarts = [restart for timing in timings for restart in timing.restarts]
    peaks = [peak for restart in restarts if (peak := peak_memory_of(restart)) is not None]
    return Speeds(
        latency_ms=tuple(1000 * seconds for seconds in calls if seconds is not None),
        images_per_second=max((statistics.median(found) for found in rates.values()), default=None),
        peak_memory_bytes=max(peaks, default=None),
        reason=next((f"not timed: {restart.reason}" for restart in restarts if restart.reason), None),
    )


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None
