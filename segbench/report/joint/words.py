"""What a joint view says, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from segbench.report.joint.joint import Joint, JointPair
from segbench.report.text import plural, printable

_SHOWN = 3
"""So many pairs, and tables of each, are told in a verdict."""


def verdict(joint: Joint) -> str:
    """Return whether the order of networks depends on the table, and who is ahead, in a few sentences."""
    return f"{_orders(joint)} {_first(joint)}"


def how_sure(joint: Joint) -> str:
    """Return what the ranks that are left open rest on."""
    return (
        "Ranks are told apart at 95 % over all tables at once: p values over trainings and test images, "
        f"Holm-adjusted over the pairs of a table, are multiplied by {len(joint.tables)}, the number of tables. What "
        "is not told apart may still differ."
    )


def of_how_many(joint: Joint) -> str:
    """Return how many networks and seeds there are, as a sentence such as ``4 networks, n = 3 seeds each.``."""
    low, high = joint.seeds
    seeds = plural(high, "seed") if low == high else f"{low} to {high} seeds"
    return f"{plural(len(joint.rows), 'network')}, n = {seeds} each."


def caveats(joint: Joint) -> Iterator[str]:
    """Yield which tables decide nothing, and which networks are left out."""
    by_reason: dict[str, list[str]] = {}
    for table, reason in joint.undecided.items():
        by_reason.setdefault(reason, []).append(table)
    for reason, tables in by_reason.items():
        yield f"{printable('; '.join(tables))}: {reason}, so that every rank is left open"
    for label, lacking in joint.left_out.items():
        yield f"{printable(label)} is left out: not in {printable('; '.join(lacking))}"


def counted_orders(joint: Joint) -> str:
    """Return in a sentence of how many pairs what is known."""
    turned = sum(pair.turns for pair in joint.pairs)
    told = sum(bool(pair.ahead or pair.behind) for pair in joint.pairs) - turned
    parts = (
        (turned, "told apart in opposite orders"),
        (told, "told apart in some tables, always in the same order"),
        (len(joint.pairs) - turned - told, "told apart in no table"),
    )
    return f"{plural(len(joint.pairs), 'pair')}: {'; '.join(f'{number} {words}' for number, words in parts if number)}."


def _orders(joint: Joint) -> str:
    if len(joint.undecided) == len(joint.tables):
        return f"Whether the order of networks changes from table to table is not known: {_reasons(joint)}."
    turned = [pair for pair in joint.pairs if pair.turns]
    if not turned:
        return f"No order of two networks is seen to change from table to table. {counted_orders(joint)}"
    more = f" {plural(len(turned) - _SHOWN, 'more pair')} likewise." if len(turned) > _SHOWN else ""
    return f"The order of networks changes. {' '.join(map(_turned, turned[:_SHOWN]))}{more} {counted_orders(joint)}"


def _reasons(joint: Joint) -> str:
    return "; ".join(dict.fromkeys(joint.undecided.values()))


def _turned(pair: JointPair) -> str:
    first, second = printable(pair.first), printable(pair.second)
    return f"{first} is better than {second} in {_some(pair.ahead)}, and worse in {_some(pair.behind)}."


def _some(tables: tuple[str, ...]) -> str:
    shown = ", ".join(printable(f"'{table}'") for table in tables[:_SHOWN])
    return shown if len(tables) <= _SHOWN else f"{shown} and {plural(len(tables) - _SHOWN, 'other')}"


def _first(joint: Joint) -> str:
    """Return which network has the best mean rank, and how often the highest mean."""
    best = joint.rows[0]
    ahead = sum(place.rank == 1 for place in best.places.values())
    return (
        f"{printable(best.label)} has the best mean rank, {best.mean_rank:.2g} ({best.low:.2g} to {best.high:.2g} left "
        f"open), and the highest mean IoU in {ahead} of {plural(len(joint.tables), 'table')}."
    )
