"""The rows of a deployment table, and its verdicts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from segbench.metrics.trainings import Scope
from segbench.metrics.uncertainty import Interval
from segbench.report.further_tests import without_nan
from segbench.report.ranking.paired_order import OrderChanges, Ranks

SMALLEST_SHOWN = 0.001
"""The smallest change of a score that a table shows."""


@dataclass(frozen=True, eq=False)
class DeploymentRow:
    """One network on one target.

    Attributes:
        label: The network.
        target: The target's key.
        name: The target in words.
        seeds: How many trainings.
        mean_iou: The mean over seeds, a fraction of 1; NaN without a result.
        change: ``mean_iou`` less that of PyTorch (eager, fp32); NaN without a result.
        change_interval: Its 95 % interval, paired over images and trainings; None where the images are too few.
        agreement: The share of pixels that are predicted as by PyTorch.
        largest_difference: The largest difference of scores from PyTorch's, over seeds.
        latency_ms: Median call with the smallest batch, over processes and seeds.
        latency_low_ms: The fastest process.
        latency_high_ms: The slowest process.
        speedup: PyTorch's latency by this one.
        images_per_second: The best throughput over batches.
        peak_memory_bytes: The largest peak of all processes, as in ``segbench speed``.
        file_bytes: Size of its files.
        export_seconds: Export, quantisation or compilation, with the first call.
        rank_before: Best and worst rank that the images leave open in PyTorch; None where nothing is known of networks.
        rank: The same on the target.
        reason: Why there is no result, or no time.
    """

    label: str
    target: str
    name: str
    seeds: int
    mean_iou: float
    change: float
    change_interval: Interval | None
    agreement: float | None
    largest_difference: float | None
    latency_ms: float | None
    latency_low_ms: float | None
    latency_high_ms: float | None
    speedup: float | None
    images_per_second: float | None
    peak_memory_bytes: int | None
    file_bytes: int | None
    export_seconds: float | None
    rank_before: Ranks | None
    rank: Ranks | None
    reason: str | None


@dataclass(frozen=True, eq=False)
class DeploymentTable:
    """All networks of one protocol that were deployed on one device, on the same images.

    Attributes:
        protocol: The protocol.
        device: cpu, cuda or mps.
        images: How many images.
        rows: Best network in PyTorch first; of each network PyTorch first.
        scope: Of what intervals speak: networks, or these weights.
        changes: By target, what becomes of the order of the networks that have a result on it.
        names: By target, its name in words.
    """

    protocol: str
    device: str
    images: int
    rows: tuple[DeploymentRow, ...]
    scope: Scope
    changes: Mapping[str, OrderChanges]
    names: Mapping[str, str]

    @property
    def verdicts(self) -> list[str]:
        """Whether any target changed the ranking, in a few sentences."""
        if not self.changes:
            return []
        turned = {target: one for target, one in self.changes.items() if one.turned}
        least_kept = min(self.changes, key=lambda target: len(self.changes[target].kept))
        shown = turned or {least_kept: self.changes[least_kept]}
        told = [
            one.verdict(self.scope, before="in PyTorch", after=f"in {self.names[target]}", told_apart="PyTorch tells")
            for target, one in shown.items()
        ]
        return [*self._costs(), *told]

    def facts(self) -> dict[str, Any]:
        """Return the table for programs, with its verdict; what is not known is None."""
        facts: dict[str, Any] = without_nan(asdict(self) | {"verdicts": self.verdicts})
        return facts

    def _costs(self) -> list[str]:
        """Return which target costs a network most, with its interval, and which makes one fastest."""
        scored = [row for row in self.rows if not math.isnan(row.change) and row.target in self.changes]
        if not scored:
            return []
        worst = min(scored, key=lambda row: row.change)
        told = [f"{worst.label} loses most, in {worst.name}: {signed(worst.change)} mean IoU{_bounds(worst)}."]
        if worst.change > -SMALLEST_SHOWN:
            told = [f"On these images no target costs a network {SMALLEST_SHOWN} of its mean IoU."]
        gains = {(row.label, row.name): row.speedup for row in scored if row.speedup is not None}
        if gains:
            (label, name), gain = max(gains.items(), key=lambda item: item[1])
            faster = f"{label} gains most, in {name}: {gain:.1f} times as fast as PyTorch."
            told.append(faster if gain > 1 else "No target is faster than PyTorch.")
        return told


def _bounds(row: DeploymentRow) -> str:
    """Return the interval of a change in brackets; nothing where it is not known."""
    interval = row.change_interval
    if interval is None or math.isnan(interval.low):
        return ""
    return f" (95 % interval {signed(interval.low)} to {signed(interval.high)})"


def signed(value: float) -> str:
    """Return a difference of scores with its sign; nothing is ``+0.000``."""
    return f"{round(value, 3) + 0.0:+.3f}"
