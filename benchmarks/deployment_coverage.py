"""Counts how often what a deployment table claims is true, in synthetic worlds whose truth is known.

    python benchmarks/deployment_coverage.py [--worlds 200] [--images 100] [--facts FILE]

Each world is a table of six networks of the same true mean IoU, in PyTorch and on each of five targets, none of which
changes it. Images differ as in ``interval_coverage``: one is hard for every network, on every target. A training shifts
how well its network recognises all classes and, apart from that, what each target makes of it. The product's own code
makes the table. Counted are

* coverage: how often the interval of a change holds the truth, which is 0;
* false changes: tables that mark any change as told apart from none; and how many would without the correction for the
  30 changes of the table;
* false verdicts: tables with a target whose verdict says that the ranking changed, or on which any two networks are
  told apart;
* power: with a seventh network that loses 0.03 on the last target, how often this loss is told.

Ends with 1 if coverage is outside 93 to 97 %, or more tables than 5 % claim falsely, by more than two standard errors
each.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from claims import Fact, are_too_many, is_outside, judge, parser_of, with_error
from interval_coverage import CLASSES, World

from segbench.metrics.scores import ClassCounts
from segbench.report.deployment.load import DeployedRun, FoundDeployments
from segbench.report.deployment.rows import DeploymentTable
from segbench.report.deployment.table import deployment_tables
from segbench.results.deployments.record import DeployedTo, DeploymentRecord
from segbench.results.record import Status

NETWORKS = 6
TARGETS = tuple(
    DeployedTo(runtime=runtime, precision=precision, device="cpu")
    for runtime, precision in (
        *(("eager", "fp32"), ("compile", "fp32"), ("onnxruntime", "fp32")),
        *(("onnxruntime", "int8"), ("openvino", "fp32"), ("openvino", "int8")),
    )
)
"""PyTorch first."""
LOSS = 0.03
"""What the seventh network loses on the last target."""
RESAMPLES = 500
SITUATIONS = ((1, 0.0, 0.0), (1, 0.01, 0.0), *((n, s, c) for n in (2, 3, 5) for s, c in ((0.0, 0.0), (0.01, 0.005))))
"""Seeds, spread of trainings, and spread of what a target makes of one training or another. With one seed, claims are
about these weights, of which a target makes nothing else."""


class Seen(NamedTuple):
    """What one world showed.

    Attributes:
        held: Share of the intervals of changes that hold 0.
        changed: Whether any change is told apart from none.
        uncorrected: Whether any would be without the correction.
        ranked: Whether two networks are told apart on a target, or a verdict says that the ranking changed.
        power: Whether the loss of the seventh network is told; NaN where it was not looked for.
    """

    held: float
    changed: bool
    uncorrected: bool
    ranked: bool
    power: float


def main() -> int:
    given = parser_of(__doc__, worlds=200).parse_args()
    print(f"{given.worlds} worlds a row, {given.images} images, {len(TARGETS) - 1} targets\n")
    columns = {
        "seeds": lambda fact: str(fact["seeds"]),
        "spread": lambda fact: f"{fact['spread']:g}",
        "of changes": lambda fact: f"{fact['spread_of_changes']:g}",
        "coverage": lambda fact: with_error(fact, "coverage"),
        "false changes": lambda fact: f"{fact['false_changes']:.1%}",
        "uncorrected": lambda fact: f"{fact['uncorrected']:.1%}",
        "false verdicts": lambda fact: f"{fact['false_verdicts']:.1%}",
        "power": lambda fact: f"{fact['power']:.0%}",
    }
    return judge(SITUATIONS, _look, _summed, columns, given)


def _look(situation: tuple[int, float, float], images: int, number: int) -> Seen:
    """Make one world, have the product's code judge it, and compare with the truth."""
    seeds, spread, spread_of_changes = situation
    rng = np.random.default_rng([number, seeds, round(1e4 * spread), round(1e4 * spread_of_changes)])
    world = World(rng.uniform(0.3, 2.0, CLASSES), rng.uniform(0.6, 0.8, CLASSES))
    gains = rng.normal(0, 1, (NETWORKS + 1, seeds)) * spread
    changes = rng.normal(0, 1, (len(TARGETS), NETWORKS + 1, seeds)) * spread_of_changes
    changes[0] = 0.0
    changes[-1, -1] -= LOSS
    reach = gains + changes  # (targets, networks, seeds)
    shifts = [world.shift(reach[:, network, seed]) for network in range(NETWORKS + 1) for seed in range(seeds)]
    counts = world.observe(shifts, images, rng)  # by training, and in it by target
    runs = [counts[network * seeds : (network + 1) * seeds] for network in range(NETWORKS + 1)]
    table = _table(runs[:NETWORKS])
    rows = [row for row in table.rows if not row.is_reference]
    intervals = [row.change_interval for row in rows if row.change_interval is not None]
    held = [interval.low <= 0 <= interval.high for interval in intervals]
    orders = [order.changes for order in table.orders.values()]
    power = math.nan
    if number % 5 == 0:
        last = [row for row in _table(runs).rows if (row.label, row.target) == (_label(NETWORKS), TARGETS[-1].key)]
        power = float(last[0].changed)
    return Seen(
        held=float(np.mean(held)),
        changed=any(row.changed for row in rows),
        uncorrected=not all(held),
        ranked=any(order.turned or order.kept or order.gained for order in orders),
        power=power,
    )


def _table(networks: Sequence[Sequence[Sequence[ClassCounts]]]) -> DeploymentTable:
    """Return the table that the product makes of networks."""
    runs = [
        DeployedRun(
            label=_label(place),
            seed=seed,
            protocol="p",
            device="cpu",
            images=tuple(str(image) for image in range(len(tests[0].hits))),
            groups=None,
            counts={target.key: counts for target, counts in zip(TARGETS, tests, strict=True)},
            records={target.key: (_RECORDS[target.key],) for target in TARGETS},
            ids=(f"{_label(place)}-seed{seed}",),
        )
        for place, of_network in enumerate(networks)
        for seed, tests in enumerate(of_network)
    ]
    (table,) = deployment_tables(FoundDeployments(tuple(runs), ()), resamples=RESAMPLES)
    return table


def _label(place: int) -> str:
    return f"network{place}"


_RECORDS = {
    target.key: DeploymentRecord(
        run="r", identity="i", label="n", seed=0, fingerprint="f", status=Status.COMPLETED, target=target
    )
    for target in TARGETS
}


def _summed(situation: tuple[int, float, float], worlds: Sequence[Seen]) -> Fact:
    """Return shares over worlds with their standard errors."""
    held = np.array([one.held for one in worlds])
    coverage, error = float(held.mean()), float(held.std(ddof=1) / math.sqrt(len(worlds)))
    names = ("changed", "uncorrected", "ranked")
    shares = {name: float(np.mean([getattr(one, name) for one in worlds])) for name in names}
    failed = ["coverage"] if is_outside(coverage, error) else []
    failed += [name for name in ("changed", "ranked") if are_too_many(shares[name], len(worlds))]
    return {
        "seeds": situation[0],
        "spread": situation[1],
        "spread_of_changes": situation[2],
        "worlds": len(worlds),
        "coverage": coverage,
        "coverage_error": error,
        "false_changes": shares["changed"],
        "uncorrected": shares["uncorrected"],
        "false_verdicts": shares["ranked"],
        "power": float(np.mean([one.power for one in worlds if not math.isnan(one.power)])),
        "failed": failed,
    }


if __name__ == "__main__":
    sys.exit(main())
