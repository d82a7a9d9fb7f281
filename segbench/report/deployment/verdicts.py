"""What a deployment table says in sentences: what targets cost, for what it holds, and what becomes of the ranking."""

from __future__ import annotations

import math
from collections.abc import Sequence

from segbench.metrics.trainings import Scope
from segbench.report.deployment.rows import SMALLEST_SHOWN, DeploymentRow, DeploymentTable, TargetOrder, signed
from segbench.report.figures.captions import spanned
from segbench.report.text import plural


def costs(table: DeploymentTable) -> list[str]:
    """Return which target costs a network most, which makes one fastest, and for what all of this holds."""
    scored = [row for row in table.rows if not math.isnan(row.change) and not row.is_reference]
    if not scored:
        return []
    return [_largest_loss(scored), *_largest_gain(scored), _held(table, scored)]


def ranking_verdicts(table: DeploymentTable) -> list[str]:
    """Return for each target whether it changed the ranking; targets of which the same is to be said together."""
    targets: dict[str, list[str]] = {}
    for target, order in table.orders.items():
        targets.setdefault(_of_target(order, table.names[target]), []).append(table.names[target])
    return [f"{'; '.join(names)} {sentence}" for sentence, names in targets.items()]


def _of_target(order: TargetOrder, name: str) -> str:
    """Return for which networks a target's verdict holds, and whether their ranking changed."""
    whose = f"({plural(len(order.networks), 'network')}, {_seeds(order.seeds)})"
    if len(order.networks) == 1:
        return f"{whose}: one network alone has no order."
    verdict = order.changes.verdict(order.scope, before="in PyTorch", after=f"in {name}", told_apart="PyTorch tells")
    return f"{whose}: {verdict[0].lower()}{verdict[1:]}"


def _largest_loss(scored: Sequence[DeploymentRow]) -> str:
    """Return the largest loss that is told apart from none, or that there is none."""
    worst = min(scored, key=lambda row: row.change)
    if worst.change > -SMALLEST_SHOWN:
        return f"On these images no target costs a network {SMALLEST_SHOWN} of its mean IoU."
    if all(row.change_p_value is None for row in scored):
        return f"{_loss(worst)}; test images are too few to tell it apart from none."
    lost = [row for row in scored if row.changed and row.change < 0]
    if not lost:
        where = f"{worst.label} in {worst.name}"
        return f"No loss is told apart from none; the largest is that of {where}: {_size(worst)}."
    told = f"{len(lost)} of {plural(len(scored), 'change')} are losses told apart from none"
    return f"{_loss(min(lost, key=lambda row: row.change))}; {told}."


def _loss(row: DeploymentRow) -> str:
    return f"{row.label} loses most, in {row.name}: {_size(row)}"


def _size(row: DeploymentRow) -> str:
    return f"{signed(row.change)} mean IoU{_bounds(row)}"


def _largest_gain(scored: Sequence[DeploymentRow]) -> list[str]:
    """Return the largest speed-up that was measured; nothing where no times compare."""
    gains = [(row.speedup, row) for row in scored if row.speedup is not None]
    if not gains:
        return []
    gain, row = max(gains, key=lambda item: item[0])
    if gain <= 1:
        return ["No target is faster than PyTorch."]
    once = ", in one process, so that its spread is not known" if row.latency_low_ms == row.latency_high_ms else ""
    where = f"that of {row.label} in {row.name}"
    return [f"The largest speed-up measured is {where}: {gain:.1f} times as fast as PyTorch{once}."]


def _held(table: DeploymentTable, scored: Sequence[DeploymentRow]) -> str:
    """Return for which networks and trainings the sentences hold."""
    networks = {row.label: row.seeds for row in scored}
    whose = f"{plural(len(networks), 'network')}, {_seeds(list(networks.values()))}"
    scopes = {order.scope for order in table.orders.values()}
    if scopes == {Scope.NETWORKS}:
        return f"{whose}: variation between trainings is included."
    if Scope.NETWORKS in scopes:
        return f"{whose}: variation between trainings is included where a target has several seeds of a network."
    return f"{whose}: variation between trainings is not included, so that this holds for these weights."


def _seeds(seeds: Sequence[int]) -> str:
    return spanned(seeds, "seed") + (" each" if len(seeds) > 1 else "")


def _bounds(row: DeploymentRow) -> str:
    """Return the interval of a change in brackets; nothing where it is not known."""
    interval = row.change_interval
    if interval is None or math.isnan(interval.low):
        return ""
    return f" (95 % interval {signed(interval.low)} to {signed(interval.high)})"
