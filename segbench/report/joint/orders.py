"""The order of networks in one of several tables, so corrected that all orders told are right together at 95 %."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from segbench.metrics.uncertainty import Comparison, rank_sets


@dataclass(frozen=True)
class TableOrder:
    """What one table says of the order of its networks.

    Attributes:
        ranks: By network, the best and the worst rank that trainings and images leave open.
        leads: By pair of networks, 1 where the first is told to be better, -1 where the second is, 0 where they are
            not told apart.
    """

    ranks: tuple[tuple[int, int], ...]
    leads: dict[tuple[int, int], int]


def order_of(networks: int, pairs: Sequence[Comparison], *, tables: int) -> TableOrder:
    """Return the order of networks that a table's pairs leave, among several tables that are judged together.

    Args:
        networks: How many networks.
        pairs: Their comparisons in this table, with p values adjusted over the table's pairs; none where it compares
            none.
        tables: How many tables compare networks: p values are multiplied by it.
    """
    corrected = [replace(pair, p_value=min(1.0, pair.p_value * tables)) for pair in pairs]
    leads = dict.fromkeys(combinations(range(networks), 2), 0)
    leads |= {(pair.first, pair.second): _leader(pair) for pair in corrected}
    return TableOrder(tuple(rank_sets(networks, corrected)), leads)


def _leader(pair: Comparison) -> int:
    if not pair.separable:
        return 0
    return 1 if pair.difference > 0 else -1
