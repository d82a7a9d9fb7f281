"""What a table of data efficiency says, in sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator

from segbench.metrics.trainings import Scope
from segbench.report.efficiency.crossings import Crossing, Order
from segbench.report.efficiency.table import EfficiencyTable, Pretraining, orders
from segbench.report.text import plural, printable

_SHOWN = 3
"""So many crossings are told in a verdict."""


def verdict(table: EfficiencyTable) -> str:
    """Return whether fewer images change the ranking, and what pretraining saves, in a few sentences."""
    return " ".join([_orders(table), *map(_saved, table.pretraining)])


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
    if table.resamples is None:
        return f"{plural(table.test_images, 'test image')}, too few for intervals, so that no crossing is told."
    drawn = f"{table.resamples:,} resamples of the {table.test_images} test images, the same for all runs"
    if table.scope is Scope.WEIGHTS:
        return f"95 % intervals of these weights over test images ({drawn}); one training tells no two networks apart."
    return (
        f"95 % intervals over trainings and test images ({drawn}). Between tested numbers of images, curves go "
        "straight on a logarithmic scale. A crossing is told where the order is told apart on both sides, in opposite "
        "directions, with p values adjusted over all pairs and numbers of images."
    )


def _orders(table: EfficiencyTable) -> str:
    """Return in a sentence or two whether the order of networks depends on the number of images."""
    if table.scope is not Scope.NETWORKS:
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
    return f"{plural(len(table.pairs), 'pair').capitalize()}: {'; '.join(found)}."


def _saved(pair: Pretraining) -> str:
    """Return what pretrained weights are worth, in a sentence."""
    (fewest, (few, _)), (most, (many, _)) = next(iter(pair.gains.items())), next(reversed(pair.gains.items()))
    gained = (
        f"Pretrained weights are worth {few:+.3f} with {fewest} images and {many:+.3f} with {most} "
        f"({printable(pair.pretrained)} against {printable(pair.scratch)})"
    )
    if pair.match is None or pair.match.images is None:
        return f"{gained}."
    return f"{gained}: with {_at_most(pair)} the pretrained network does as well as the other with all {most}."


def _at_most(pair: Pretraining) -> str:
    assert pair.match is not None
    assert pair.match.images is not None
    fewest, most = pair.match.tested
    number = f"{fewest} images or fewer" if pair.match.images <= fewest else f"{pair.match.images:.0f} images"
    if pair.match.interval is None:
        return number
    high = pair.match.interval.high
    if pair.match.images <= fewest and high <= fewest:
        return number
    return f"{number} (95 %: up to {f'{high:.0f}' if math.isfinite(high) else f'more than {most}'})"


def missing(table: EfficiencyTable) -> Iterator[str]:
    """Yield which networks lack some numbers of images."""
    for row in table.rows:
        lacking = [str(size) for size in table.sizes if row.at(size) is None]
        if lacking:
            yield f"{printable(row.label)} has no completed training on {', '.join(lacking)} images"
