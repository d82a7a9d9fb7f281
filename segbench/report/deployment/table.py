"""What networks lose and gain on each target, and whether their order changes."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from segbench.config.sections.deploy import PRECISIONS, REFERENCE
from segbench.metrics.uncertainty import Interval, holm, plain_intervals, plain_p_values
from segbench.report.deployment.load import DeployedRun, FoundDeployments
from segbench.report.deployment.rows import DeploymentRow, DeploymentTable, TargetOrder
from segbench.report.deployment.speeds import machines_of, speeds_of, speedup_of
from segbench.report.further_tests import Network, networks_by_table
from segbench.report.ranking.intervals import LEAST_IMAGES
from segbench.report.ranking.paired_order import PairedOrder, Ranks, RunTests, mean_iou_of, paired_orders
from segbench.results.deployments.record import DeployedTo, DeploymentRecord
from segbench.results.record import Status

OTHER_PIXELS = "was fed other pixels than PyTorch, so that it is not compared: 'segbench deploy' both on one machine"

Deployed = Network[DeployedRun]


class Change(NamedTuple):
    """What is known of a network's change on a target, beside its size.

    Attributes:
        interval: Its 95 % interval.
        p_value: The p value of "no change", adjusted.
        rank_before: The ranks that are left open in PyTorch; None where nothing is known of networks.
        rank: The same on the target.
    """

    interval: Interval
    p_value: float
    rank_before: Ranks | None
    rank: Ranks | None


def deployment_tables(found: FoundDeployments, *, resamples: int | None = None) -> list[DeploymentTable]:
    """Return a table for each protocol, device and set of images.

    Args:
        found: The deployments of a suite.
        resamples: How often to draw the images; as many as the number of tests allows by default.
    """
    tables = networks_by_table(found.runs, lambda run: (run.protocol, run.device, run.images))
    return [_table(networks, resamples) for networks in tables]


def _table(networks: Sequence[Deployed], resamples: int | None) -> DeploymentTable:
    networks = sorted(networks, key=lambda network: -_mean_iou(network, REFERENCE))
    names = _targets(networks)
    orders = _orders(networks, [target for target in names if target != REFERENCE], resamples)
    changes = _changes(networks, orders)
    any_run = networks[0].runs[0]
    return DeploymentTable(
        protocol=any_run.protocol,
        device=any_run.device,
        images=len(any_run.images),
        rows=tuple(
            _row(network, target, name, changes.get((network.label, target)))
            for network in networks
            for target, name in names.items()
            if any(target in run.records for run in network.runs)
        ),
        orders={target: _target_order(networks, target, order) for target, order in orders.items()},
        names=names,
        machines=machines_of(record for network in networks for run in network.runs for record in _all(run)),
    )


def _targets(networks: Iterable[Deployed]) -> dict[str, str]:
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


def _deployed(networks: Sequence[Deployed], target: str) -> list[Deployed]:
    """Return the networks whose every training has a result on a target, fed as the others were."""
    return [network for network in networks if all(_fed_alike(run, target) for run in network.runs)]


def _orders(networks: Sequence[Deployed], targets: Iterable[str], resamples: int | None) -> dict[str, PairedOrder]:
    """Return by target the order of the networks that have a result on it; nothing where images are too few."""
    units = networks[0].runs[0].groups or networks[0].runs[0].images
    if len(set(units)) < LEAST_IMAGES:
        return {}
    tested = {
        target: [
            (network.label, [RunTests(run.counts[REFERENCE], [run.counts[target]]) for run in network.runs])
            for network in _deployed(networks, target)
        ]
        for target in targets
    }
    return paired_orders({target: there for target, there in tested.items() if there}, units, resamples=resamples)


def _target_order(networks: Sequence[Deployed], target: str, order: PairedOrder) -> TargetOrder:
    there = _deployed(networks, target)
    labels, seeds = tuple(one.label for one in there), tuple(len(one.runs) for one in there)
    return TargetOrder(labels, seeds, order.scope, order.changes)


def _changes(networks: Sequence[Deployed], orders: Mapping[str, PairedOrder]) -> dict[tuple[str, str], Change]:
    """Return by network and target what is known of its change, corrected for the number of all of them."""
    places = [
        (network.label, target, place) for target in orders for place, network in enumerate(_deployed(networks, target))
    ]
    raw = {target: plain_p_values(order.difference) for target, order in orders.items()}
    intervals = {target: plain_intervals(order.difference) for target, order in orders.items()}
    adjusted = holm([raw[target][place] for _, target, place in places])
    return {
        (label, target): Change(
            intervals[target][place],
            p_value,
            orders[target].ranks_before[place] if orders[target].ranks_before else None,
            orders[target].ranks_after[place] if orders[target].ranks_after else None,
        )
        for (label, target, place), p_value in zip(places, adjusted, strict=True)
    }


def _row(network: Deployed, target: str, name: str, change: Change | None) -> DeploymentRow:
    records, whole = _records(network, target), all(_fed_alike(run, target) for run in network.runs)
    completed = [record for record in records if record.status is Status.COMPLETED]
    speeds = speeds_of(completed)
    speedup = speedup_of(completed, _records(network, REFERENCE))
    agreements = [record.agreement for record in completed if record.agreement]
    score = _mean_iou(network, target) if whole else math.nan
    reasons = [*_missing_results(network.runs, target), speeds.reason if completed else None, speedup.reason]
    return DeploymentRow(
        label=network.label,
        target=target,
        name=name,
        seeds=len(network.runs),
        mean_iou=score,
        change=score - _mean_iou(network, REFERENCE),
        change_interval=change.interval if change else None,
        change_p_value=change.p_value if change else None,
        agreement=sum(one.equal for one in agreements) / sum(one.pixels for one in agreements) if agreements else None,
        largest_difference=max((record.largest_difference or 0.0 for record in completed), default=None),
        latency_ms=statistics.median(speeds.latency_ms) if speeds.latency_ms else None,
        latency_low_ms=min(speeds.latency_ms, default=None),
        latency_high_ms=max(speeds.latency_ms, default=None),
        steady=speeds.steady,
        speedup=speedup.ratio,
        images_per_second=speeds.images_per_second,
        peak_memory_bytes=speeds.peak_memory_bytes,
        file_bytes=max((record.file_bytes or 0 for record in completed), default=None),
        export_seconds=_median(record.export_seconds for record in completed),
        rank_before=change.rank_before if change else None,
        rank=change.rank if change else None,
        reason="; ".join(filter(None, reasons)) or None,
    )


def _all(run: DeployedRun) -> Iterator[DeploymentRecord]:
    for records in run.records.values():
        yield from records


def _records(network: Deployed, target: str) -> list[DeploymentRecord]:
    return [record for run in network.runs for record in run.records.get(target, ())]


def _mean_iou(network: Deployed, target: str) -> float:
    return float(
        np.mean([mean_iou_of(run.counts[target]) if target in run.counts else math.nan for run in network.runs])
    )


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _fed_alike(run: DeployedRun, target: str) -> bool:
    """Return whether a run has a result on a target, and was fed with the same pixels as in PyTorch."""
    if target not in run.counts:
        return False
    fed, reference = ([record.test_digest for record in run.records[key]] for key in (target, REFERENCE))
    return fed == reference


def _missing_results(runs: Sequence[DeployedRun], target: str) -> list[str]:
    """Return why trainings have no result on a target, those of one reason together; empty where all have one."""
    seeds: dict[str, list[int]] = {}
    for run in runs:
        if (reason := _missing(run, target)) is not None:
            seeds.setdefault(reason, []).append(run.seed)
    return [reason if len(found) == len(runs) else f"{_named(found)}: {reason}" for reason, found in seeds.items()]


def _missing(run: DeployedRun, target: str) -> str | None:
    """Return why a training has no result on a target; None where it has one."""
    if _fed_alike(run, target):
        return None
    if target in run.counts:
        return OTHER_PIXELS
    records = run.records.get(target, ())
    reasons = [record.reason or str(record.status) for record in records if record.status is not Status.COMPLETED]
    return reasons[0] if reasons else "was not deployed, or not all of its folds; 'segbench deploy' does it"


def _named(seeds: Sequence[int]) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
