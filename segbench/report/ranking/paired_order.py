"""How networks score before and after something is done to them, and whether their order changes.

Before and after are tested on the same images, so that differences are paired; the images count, and the trainings.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from segbench.metrics.resampling import ImageSpread, by_group, resampled, resamples_for, spread_of_values
from segbench.metrics.scores import ClassCounts, mean_iou
from segbench.metrics.trainings import Estimates, Scope, estimate
from segbench.metrics.uncertainty import Comparison, compare_all, compare_families, rank_sets

FloatArray = NDArray[np.float64]

Pair = tuple[str, str]
"""The labels of two networks, the better one first."""

Networks = Sequence[tuple[str, Sequence["RunTests"]]]
"""The labels of networks, and the tests of their trainings."""

Ranks = tuple[int, int]
"""Best and worst rank that are left open."""


class RunTests(NamedTuple):
    """The tests of one run.

    Attributes:
        before: (N, C) counts of the images before.
        after: The same after it, for each thing that is done; their scores are averaged.
    """

    before: ClassCounts
    after: Sequence[ClassCounts]


@dataclass(frozen=True)
class OrderChanges:
    """What becomes of the order of each two networks.

    Attributes:
        kept: Told apart before and after, in one order.
        turned: Told apart in both, in opposite orders; the better one before stands first.
        lost: Told apart before only.
        gained: Told apart after only.
    """

    kept: tuple[Pair, ...] = ()
    turned: tuple[Pair, ...] = ()
    lost: tuple[Pair, ...] = ()
    gained: tuple[Pair, ...] = ()

    def verdict(self, scope: Scope, *, before: str, after: str, told_apart: str) -> str:
        """Return in a sentence whether the ranking changed.

        Args:
            scope: Of what the pairs speak.
            before: Where a network leads before, such as ``on clean images``.
            after: The same after it.
            told_apart: What tells pairs apart before, such as ``clean images tell``.
        """
        if scope is Scope.WEIGHTS:
            return "One training cannot tell whether the order of networks changes: train more seeds."
        if self.turned:
            pairs = "; ".join(f"{first} leads {before}, {second} {after}" for first, second in self.turned)
            return f"The ranking changed: {pairs}."
        known = len(self.kept) + len(self.lost)
        if not known:
            return f"No two networks are told apart {before}, so that no order could change."
        return f"No order is seen to turn round: {len(self.kept)} of {known} pairs that {told_apart} apart stay so."


@dataclass(frozen=True, eq=False)
class PairedOrder:
    """Networks before and after.

    Attributes:
        difference: Estimates of ``after`` less ``before``.
        scope: Of what all speaks: networks, or these weights.
        ranks_before: By network, the ranks that are left open; empty where nothing is known of networks.
        ranks_after: The same after it.
        changes: What becomes of their order.
    """

    difference: Estimates
    scope: Scope
    ranks_before: tuple[Ranks, ...]
    ranks_after: tuple[Ranks, ...]
    changes: OrderChanges


def paired_order(networks: Networks, units: Sequence[Hashable], *, resamples: int | None = None) -> PairedOrder:
    """Compare networks before and after something is done to them.

    Args:
        networks: Their labels, and the tests of their trainings.
        units: What each image belongs to, such as a patient; by itself, its name.
        resamples: How often to draw the images; as many as the number of tests allows by default.
    """
    return paired_orders({"": networks}, units, resamples=resamples)[""]


def paired_orders(
    tested: Mapping[str, Networks], units: Sequence[Hashable], *, resamples: int | None = None
) -> dict[str, PairedOrder]:
    """Compare networks before and after each of several things is done to them, such as other runtimes.

    Pairs are Holm-adjusted over all of these things together, so that none is told apart falsely more often for their
    number; before, where the same networks are compared each time, over the pairs of one.

    Args:
        tested: By what is done, the networks it was done to.
        units: See ``paired_order``.
        resamples: See ``paired_order``.
    """
    found = {key: _estimated(networks, units, resamples) for key, networks in tested.items()}
    known = [key for key, one in found.items() if one.before.scope is Scope.NETWORKS]
    after = dict(zip(known, compare_families([found[key].after for key in known]), strict=True))
    return {key: _ordered(one, after.get(key)) for key, one in found.items()}


class _Estimated(NamedTuple):
    """Estimates of networks before and after something was done to them, and of the difference."""

    labels: Sequence[str]
    before: Estimates
    after: Estimates
    difference: Estimates


def _estimated(networks: Networks, units: Sequence[Hashable], resamples: int | None) -> _Estimated:
    seeds = [len(runs) for _, runs in networks]
    spreads = _spreads([run for _, runs in networks for run in runs], units, resamples)
    return _Estimated([label for label, _ in networks], *(estimate(spread, seeds) for spread in spreads))


def _ordered(found: _Estimated, after: Sequence[Comparison] | None) -> PairedOrder:
    """Return the order before and after; without pairs after, nothing is known of networks."""
    scope = found.before.scope
    if after is None:
        return PairedOrder(found.difference, scope, (), (), OrderChanges())
    pairs = compare_all(found.before), after
    before, later = (tuple(rank_sets(len(found.labels), one)) for one in pairs)
    return PairedOrder(found.difference, scope, before, later, _changes(found.labels, *pairs))


def mean_iou_of(counts: ClassCounts) -> float:
    """Return the mean IoU of (N, C) counts of images, all images together."""
    return float(mean_iou(counts.total))


def _spreads(runs: Sequence[RunTests], units: Sequence[Hashable], resamples: int | None) -> tuple[ImageSpread, ...]:
    """Return how the images make the scores before, after and their difference scatter.

    All are scored on the same resamples: an image that is drawn counts before and in every test after.
    """
    tested = [[run.before, *run.after] for run in runs]
    grouped = [by_group(tests, units) for tests in tested]
    count = grouped[0][1]
    full = np.array([[mean_iou_of(counts) for counts in tests] for tests in tested])
    drawn = np.stack([_drawn(tests, count, resamples or resamples_for(full.size)) for tests, _ in grouped], axis=1)
    before, after = (full[:, 0], drawn[..., 0]), (full[:, 1:].mean(axis=1), drawn[..., 1:].mean(axis=-1))
    difference = after[0] - before[0], after[1] - before[1]
    return tuple(spread_of_values(scores, values, units=count) for scores, values in (before, after, difference))


def _drawn(tests: Sequence[ClassCounts], units: int, resamples: int) -> FloatArray:
    """Return (B, T) mean IoU of a run's tests in every resample; every run draws the same ones."""
    return resampled(tests, units, resamples, mean_iou)


def _changes(labels: Sequence[str], before: Sequence[Comparison], after: Sequence[Comparison]) -> OrderChanges:
    """Sort the pairs of networks by what becomes of their order."""
    changes: dict[str, list[Pair]] = {"kept": [], "turned": [], "lost": [], "gained": []}
    for pair, later in zip(before, after, strict=True):
        first, second = _leader(pair, labels), _leader(later, labels)
        if first and second:
            changes["kept" if first == second else "turned"].append(first)
        elif first:
            changes["lost"].append(first)
        elif second:
            changes["gained"].append(second)
    return OrderChanges(**{name: tuple(found) for name, found in changes.items()})


def _leader(pair: Comparison, labels: Sequence[str]) -> Pair | None:
    """Return the better network of a pair, and the other; None where they are not told apart."""
    if not pair.separable:
        return None
    first, second = labels[pair.first], labels[pair.second]
    return (first, second) if pair.difference > 0 else (second, first)
