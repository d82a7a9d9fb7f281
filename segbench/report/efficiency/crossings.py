"""Where the order of two networks turns round as they get more images, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations, pairwise

import numpy as np

from segbench.metrics.uncertainty import SIGNIFICANT, Interval, compare_all, plain_intervals
from segbench.report.efficiency.bounds import first_reached, grid, reached_for_good
from segbench.report.efficiency.curves import Curve, CurveSet
from segbench.report.efficiency.estimates import Estimated


class Order(StrEnum):
    """What is known of the order of two networks over all numbers of images."""

    TURNS = "turns"
    """Told apart on both sides of a crossing, in opposite orders."""
    OPEN = "open"
    """Their curves cross, but they are not told apart on both sides."""
    KEPT = "kept"
    """Told apart somewhere, and their curves do not cross."""
    UNKNOWN = "unknown"
    """Not told apart anywhere, and their curves do not cross."""


@dataclass(frozen=True)
class Crossing:
    """Two networks whose curves cross.

    Attributes:
        fewer: The network that is better with fewer images.
        more: The one that is better with more.
        images: Where the curves cross.
        interval: Its 95 % interval; None where the crossing is not told.
        sides: The numbers of images, on either side, at which they are told apart; None where they are not.
        p_value: That the order does not turn round: the larger one of both sides, adjusted; NaN where not known.
    """

    fewer: str
    more: str
    images: float
    interval: Interval | None
    sides: tuple[int, int] | None
    p_value: float

    @property
    def told(self) -> bool:
        """Whether both sides are told apart."""
        return self.sides is not None


@dataclass(frozen=True)
class Pair:
    """Two networks.

    Attributes:
        first: The one network.
        second: The other one.
        order: What is known of their order.
        crossings: Where their curves cross.
        p_values: By number of images, that of no difference, adjusted; the sign is that of first less second.
    """

    first: str
    second: str
    order: Order
    crossings: tuple[Crossing, ...]
    p_values: dict[int, float]


@dataclass(frozen=True)
class _Side:
    """The order of a pair at one number of images.

    Attributes:
        images: How many.
        difference: First less second.
        p_value: That of no difference, adjusted.
    """

    images: int
    difference: float
    p_value: float

    @property
    def leads(self) -> int:
        """1 where the first is told to be better, -1 where the second is, 0 where they are not told apart."""
        return int(np.sign(self.difference)) if self.p_value < SIGNIFICANT else 0


def pairs_of(curves: CurveSet, estimated: Estimated | None) -> tuple[Pair, ...]:
    """Compare all pairs of networks that have two numbers of images in common.

    At each number of images, p values are those of the leaderboard: paired over test images, with the variation of
    trainings, Holm-adjusted over its pairs. As a wrong order at any of K numbers of images makes a false crossing, and
    only one of both directions does, they count K / 2 times, and at least once.

    Args:
        curves: The networks.
        estimated: Their estimates; None, or estimates of weights, tell no two networks apart.
    """
    if estimated is None:
        return ()
    sides = _sides(curves, estimated)
    found = []
    for first, second in combinations(curves.curves, 2):
        shared = sorted(set(first.sizes) & set(second.sizes))
        if len(shared) > 1:
            found.append(_pair(first, second, [sides[first.label, second.label, size] for size in shared], estimated))
    return tuple(found)


def _sides(curves: CurveSet, estimated: Estimated) -> dict[tuple[str, str, int], _Side]:
    """Return the order of each pair at each number of images."""
    sizes = [size for size in curves.sizes if len(estimated.labels_at(size)) > 1]
    times = max(1.0, len(sizes) / 2)
    found = {}
    for size in sizes:
        labels = estimated.labels_at(size)
        for one in compare_all(estimated.at(size)):
            p_value = min(1.0, one.p_value * times) if estimated.of_networks else float("nan")
            found[labels[one.first], labels[one.second], size] = _Side(size, one.difference, p_value)
    return found


def _pair(first: Curve, second: Curve, sides: Sequence[_Side], estimated: Estimated) -> Pair:
    told = [side for side in sides if side.leads]
    turns = [(one, other) for one, other in pairwise(told) if one.leads != other.leads]
    crossings = [_told(first, second, turn, estimated) for turn in turns]
    if not turns:
        crossings = [_open(first, second, pair) for pair in _seen(sides)]
    order = Order.TURNS if turns else Order.OPEN if crossings else Order.KEPT if told else Order.UNKNOWN
    return Pair(first.label, second.label, order, tuple(crossings), {side.images: side.p_value for side in sides})


def _seen(sides: Sequence[_Side]) -> list[tuple[_Side, _Side]]:
    """Return neighbouring sides between which the means cross."""
    apart = [side for side in sides if side.difference]
    return [(one, other) for one, other in pairwise(apart) if one.difference * other.difference < 0]


def _told(first: Curve, second: Curve, turn: tuple[_Side, _Side], estimated: Estimated) -> Crossing:
    """Return a crossing between two sides that are told apart, with its interval.

    Its ends are the first and the last point at which the interval of the difference holds 0 (E. Fieller, "Some
    problems in interval estimation", J. R. Stat. Soc. B 16, 1954).
    """
    fewer, more = turn
    ahead, behind = (first, second) if fewer.leads > 0 else (second, first)
    inner = sorted({fewer.images, more.images, *_between(first, fewer, more), *_between(second, fewer, more)})
    images = grid(inner)
    lost = estimated.sums(estimated.weights(behind, images) - estimated.weights(ahead, images))
    bounds = np.array(plain_intervals(lost))
    low, high = first_reached(images, bounds[:, 1]), reached_for_good(images, bounds[:, 0])
    middle = first_reached(images, lost.means)
    return Crossing(
        ahead.label,
        behind.label,
        images=more.images if middle is None else middle,
        interval=Interval(fewer.images if low is None else low, more.images if high is None else high),
        sides=(fewer.images, more.images),
        p_value=max(fewer.p_value, more.p_value),
    )


def _between(curve: Curve, fewer: _Side, more: _Side) -> list[int]:
    return [size for size in curve.sizes if fewer.images < size < more.images]


def _open(first: Curve, second: Curve, seen: tuple[_Side, _Side]) -> Crossing:
    """Return a crossing of the means that is not told."""
    one, other = seen
    share = one.difference / (one.difference - other.difference)
    images = float(np.exp(np.log(one.images) + share * (np.log(other.images) - np.log(one.images))))
    ahead, behind = (first, second) if one.difference > 0 else (second, first)
    return Crossing(ahead.label, behind.label, images, None, None, max(one.p_value, other.p_value))
