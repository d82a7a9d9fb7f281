"""What a joint view says, in sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from segbench.report.joint.joint import Joint, JointPair
from segbench.report.text import plural, printable

_TOLD = (
    "told apart in opposite orders",
    "told apart in several tables, always in the same order",
    "told apart in one table",
    "told apart in no table",
)
"""What is known of the order of two networks."""
_SHOWN = 3
"""So many pairs, and tables of each, are told in a verdict."""


def verdict(joint: Joint) -> str:
    """Return whether the order of networks depends on the table, and who is ahead, in a few sentences."""
    return f"{_orders(joint)} {_first(joint)}"


def how_sure(joint: Joint) -> str:
    """Return what the orders that are told, and the ranks that are left open, rest on."""
    if not joint.decided:
        return "No table compares networks, so that every rank is left open."
    return (
        "All orders that are told are right together at 95 %: the p values of each table, Holm-adjusted over its "
        f"pairs, are multiplied by {joint.decided}, the number of tables that compare networks. What is not told apart "
        "may still differ."
    )


def of_how_many(joint: Joint) -> str:
    """Return how many networks and seeds there are, as a sentence such as ``4 networks, n = 3 seeds each.``."""
    low, high = joint.seeds
    seeds = plural(high, "seed") if low == high else f"{low} to {high} seeds"
    return f"{plural(len(joint.rows), 'network')}, n = {seeds} each."


def caveats(joint: Joint) -> Iterator[str]:
    """Yield which tables decide nothing, what is left out, and which networks are not the same in all tables."""
    for reason in dict.fromkeys(joint.undecided.values()):
        names = [table for table, given in joint.undecided.items() if given == reason]
        yield f"{_listed(names)}: {reason}, so that every rank is left open"
    for label, tables in joint.left_out.items():
        yield f"{printable(label)} is left out: not in {_listed(tables)}"
    for table in joint.incomplete:
        yield f"'{printable(table.name)}' is left out: it has no score of {', '.join(map(printable, table.lacks))}"
    for label, options in joint.differing.items():
        what = ", ".join(map(printable, options)) or "code or initial weights"
        yield f"{printable(label)} is not the same network in all tables: {what}"


def counted_orders(joint: Joint) -> str:
    """Return in a sentence of how many pairs what is known."""
    counts = Counter(map(_told, joint.pairs))
    known = "; ".join(f"{counts[words]} {words}" for words in _TOLD if counts[words])
    return f"{plural(len(joint.pairs), 'pair')}: {known}."


def _told(pair: JointPair) -> str:
    """Return which of ``_TOLD`` holds for a pair."""
    opposite, several, once, never = _TOLD
    if pair.turns:
        return opposite
    tables = len(pair.ahead) + len(pair.behind)
    return several if tables > 1 else once if tables else never


def _orders(joint: Joint) -> str:
    if joint.decided < 2:
        whole = "" if joint.decided else f": {'; '.join(dict.fromkeys(joint.undecided.values()))}"
        some = ", as only one table compares networks" if joint.decided else ""
        return f"Whether the order of networks changes from table to table is not known{whole}{some}."
    turned = [pair for pair in joint.pairs if pair.turns]
    if not turned:
        return (
            "No order of two networks is seen to change from table to table; "
            f"orders are told in {joint.telling} of {plural(len(joint.tables), 'table')}. {counted_orders(joint)}"
        )
    more = f" So it is with {plural(len(turned) - _SHOWN, 'other pair')}." if len(turned) > _SHOWN else ""
    return f"The order of networks changes. {' '.join(map(_turned, turned[:_SHOWN]))}{more} {counted_orders(joint)}"


def _turned(pair: JointPair) -> str:
    first, second = printable(pair.first), printable(pair.second)
    return f"{first} is better than {second} in {_listed(pair.ahead)}, and worse in {_listed(pair.behind)}."


def _listed(tables: Sequence[str]) -> str:
    """Return the names of tables, the first ones and how many others there are."""
    shown = ", ".join(f"'{printable(table)}'" for table in tables[:_SHOWN])
    return shown if len(tables) <= _SHOWN else f"{shown} and {plural(len(tables) - _SHOWN, 'other')}"


def _first(joint: Joint) -> str:
    """Return which networks have the best mean rank."""
    best = [row for row in joint.rows if row.mean_rank == joint.rows[0].mean_rank]
    if len(best) > 1:
        return f"{', '.join(printable(row.label) for row in best)} share the best mean rank, {best[0].mean_rank:.1f}."
    row, highest = best[0], sum(place.rank == 1 for place in best[0].places.values())
    return (
        f"{printable(row.label)} has the best mean rank, {row.mean_rank:.1f} ({row.low:.1f} to {row.high:.1f} left "
        f"open), and the highest mean IoU in {highest} of {plural(len(joint.tables), 'table')}."
    )
