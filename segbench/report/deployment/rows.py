"""The rows of a deployment table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from segbench.config.sections.deploy import REFERENCE
from segbench.metrics.trainings import Scope
from segbench.metrics.uncertainty import SIGNIFICANT, Interval
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
        change_p_value: The p value of "no change", Holm-adjusted over all networks and targets of the table.
        agreement: The share of pixels that are predicted as by PyTorch.
        largest_difference: The largest difference of scores from PyTorch's, over seeds.
        latency_ms: Median call with the smallest batch, over processes and seeds.
        latency_low_ms: The fastest process.
        latency_high_ms: The slowest process.
        steady: Whether the warm-up of all processes became steady; None where it is not known.
        speedup: PyTorch's latency by this one; None where the two do not compare.
        images_per_second: The best throughput over batches.
        peak_memory_bytes: The largest peak of all processes with the smallest batch, as in ``segbench speed``.
        file_bytes: Size of its files.
        export_seconds: Export, quantisation or compilation, loading and the first call.
        rank_before: Best and worst rank that the images leave open in PyTorch; None where nothing is known of networks.
        rank: The same on the target.
        reason: Why something of it is missing.
    """

    label: str
    target: str
    name: str
    seeds: int
    mean_iou: float
    change: float
    change_interval: Interval | None
    change_p_value: float | None
    agreement: float | None
    largest_difference: float | None
    latency_ms: float | None
    latency_low_ms: float | None
    latency_high_ms: float | None
    steady: bool | None
    speedup: float | None
    images_per_second: float | None
    peak_memory_bytes: int | None
    file_bytes: int | None
    export_seconds: float | None
    rank_before: Ranks | None
    rank: Ranks | None
    reason: str | None

    @property
    def is_reference(self) -> bool:
        """Whether it is PyTorch, which all others are compared with."""
        return self.target == REFERENCE

    @property
    def changed(self) -> bool:
        """Whether the change is told apart from none."""
        return self.change_p_value is not None and self.change_p_value < SIGNIFICANT


@dataclass(frozen=True)
class TargetOrder:
    """What becomes of the order of the networks that have a result on a target.

    Attributes:
        networks: These networks.
        seeds: How many trainings each of them has.
        scope: Of what the pairs speak: networks, or these weights.
        changes: The pairs, told apart with the correction for all pairs and targets of the table.
    """

    networks: tuple[str, ...]
    seeds: tuple[int, ...]
    scope: Scope
    changes: OrderChanges


@dataclass(frozen=True, eq=False)
class DeploymentTable:
    """All networks of one protocol that were deployed on one device, on the same images.

    Attributes:
        protocol: The protocol.
        device: cpu, cuda or mps.
        images: How many images.
        rows: Best network in PyTorch first; of each network PyTorch first.
        orders: By target, what becomes of the order of networks; nothing where test images are too few.
        names: By target, its name in words.
        machines: On how many machines the networks were timed.
    """

    protocol: str
    device: str
    images: int
    rows: tuple[DeploymentRow, ...]
    orders: Mapping[str, TargetOrder]
    names: Mapping[str, str]
    machines: int


def signed(value: float) -> str:
    """Return a difference of scores with its sign; nothing is ``+0.000``."""
    return f"{round(value, 3) + 0.0:+.3f}"
