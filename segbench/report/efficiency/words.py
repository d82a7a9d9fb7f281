"""What a table of data efficiency says, in sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator

from segbench.metrics.trainings import Scope
from segbench.metrics.uncertainty import Interval
from segbench.report.efficiency.crossings import Crossing, Order
from segbench.report.efficiency.table import EfficiencyTable, Pretraining, orders
from segbench.report.text import plural, printable

_SHOWN = 3
"""So many crossings are told in a verdict."""
_ONE_SEED = "one seed: variation between trainings is not included"
_BORROWED = "networks with one seed borrow the others' largest variation"


def verdict(table: EfficiencyTable) -> str:
    """Return whether fewer images change the ranking, and what pretraining saves, in a few sentences."""
    pretraining = [f"Pretraining ({intervals_in_brief(table)}):"] if table.pretraining else []
    return " ".join([_orders(table), *pretraining, *map(_saved, table.pretraining)])


def intervals_in_brief(table: EfficiencyTable) -> str:
    """Return of what the intervals of a table are, or why there are none."""
    if table.no_intervals:
        return table.no_intervals
    if table.scope is Scope.WEIGHTS:
        return f"95 % intervals of these weights; {_ONE_SEED}"
    return f"95 % intervals; {_BORROWED}" if table.borrows else "95 % intervals"


def crossing_in_words(crossing: Crossing) -> str:
    """Return a crossing as a sentence."""
    fewer, more = printable(crossing.fewer), printable(crossing.more)
    if crossing.sides is None or crossing.interval is None:
        return f"{fewer} leads up to {crossing.images:.0f} images, {more} with more: not told apart on both sides."
    low, high = crossing.interval
    return (
        f"{fewer} leads up to {crossing.images:.0f} images ({low:.0f} to {high:.0f}), {more} with more: told apart at "
        f"{crossing.sides[0]} and at {crossing.sides[1]}."
    )


def how_sure(table: EfficiencyTable) -> str:
    """Return what intervals and crossings rest on."""
    if table.no_intervals:
        return f"{table.no_intervals}, so that no crossing is told."
    drawn = f"{table.resamples:,} resamples of the {table.test_images} test images, the same for all runs"
    if table.scope is Scope.WEIGHTS:
        return f"95 % intervals of these weights over test images ({drawn}). {_ONE_SEED.capitalize()}."
    borrowed = f" {_BORROWED.capitalize()}." if table.borrows else ""
    return (
        f"95 % intervals over trainings and test images ({drawn}).{borrowed} Between tested numbers of images, curves "
        "go straight on a logarithmic scale. A crossing is told where the order is told apart on both sides, in "
        "opposite directions, with p values adjusted over all pairs and numbers of images."
    )


def _orders(table: EfficiencyTable) -> str:
    """Return in a sentence or two whether the order of networks depends on the number of images."""
    if len(table.rows) == 1:
        return "One network has no order that could change."
    if table.no_intervals:
        return f"Whether fewer images change the order of networks is not known: {table.no_intervals}."
    if not table.pairs:
        return "No two networks have two numbers of images in common, so that no order is compared."
    if table.scope is Scope.WEIGHTS:
        return "One training cannot tell whether fewer images change the order of networks: train more seeds."
    turned = [crossing for pair in orders(table, Order.TURNS) for crossing in pair.crossings]
    if turned:
        shown = " ".join(map(crossing_in_words, turned[:_SHOWN]))
        more = f" {len(turned) - _SHOWN} more are in the table of crossings." if len(turned) > _SHOWN else ""
        return f"Fewer images change the ranking. {shown}{more} {counted_orders(table)}"
    return f"Fewer images are not seen to change the order of any two networks. {counted_orders(table)}"


def counted_orders(table: EfficiencyTable) -> str:
    """Return in a sentence of how many pairs what is known."""
    parts = [
        (Order.TURNS, "told apart on both sides of a crossing"),
        (Order.KEPT, "told apart somewhere, without a crossing"),
        (Order.OPEN, "whose means cross, not told apart on both sides"),
        (Order.UNKNOWN, "told apart nowhere"),
    ]
    found = [f"{len(orders(table, order))} {words}" for order, words in parts if orders(table, order)]
    alone = math.comb(len(table.rows), 2) - len(table.pairs)
    more = f" {plural(alone, 'other pair')} without two numbers of images in common." if alone else ""
    return f"{plural(len(table.pairs), 'pair')}: {'; '.join(found)}.{more}"


def _saved(pair: Pretraining) -> str:
    """Return by how much a pretrained network does better and the images that it needs, as far as that is known."""
    pretrained, scratch = printable(pair.pretrained), printable(pair.scratch)
    gains = list(pair.gains.items())
    if not gains:
        told = f"{pretrained} and {scratch} have no number of images in common, so that no difference is known."
    else:
        ends = gains if len(gains) == 1 else [gains[0], gains[-1]]
        shown = " and ".join(f"{gain_in_words(*gain)} with {plural(images, 'image')}" for images, gain in ends)
        told = f"{pretrained} less {scratch} is {shown}."
    return f"{told}{_matched(pair)}"


def gain_in_words(difference: float, interval: Interval | None) -> str:
    """Return a difference with its interval, such as ``+0.100 (+0.080 to +0.120)``; without one where not known."""
    ends = "" if interval is None else f" ({interval.low:+.3f} to {interval.high:+.3f})"
    return f"{difference:+.3f}{ends}"


def _matched(pair: Pretraining) -> str:
    """Return the images that are as good as all of the other network's; nothing where that is not known."""
    if pair.match is None or pair.match.interval is None:
        return ""
    pretrained, goal = printable(pair.pretrained), f"{printable(pair.scratch)} with {plural(pair.goal, 'image')}"
    if pair.match.images is None:
        return f" With up to {plural(pair.match.tested[1], 'image')}, {pretrained} is not seen to match {goal}."
    return f" To match {goal}, {pretrained} needs {pair.match}."


def missing(table: EfficiencyTable) -> Iterator[str]:
    """Yield which networks lack some numbers of images."""
    for row in table.rows:
        lacking = [str(size) for size in table.sizes if row.at(size) is None]
        if lacking:
            yield f"{printable(row.label)} has no completed training on {', '.join(lacking)} images"
