"""Which columns of a table fit the terminal: those that do not are dropped, so that no number is ever folded."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

GAP = 3
"""Columns of the terminal between two of a table."""

_SHORTEST_TEXT = 16
"""A column of sentences may be folded down to this."""


class Fitted(NamedTuple):
    """What is shown of a table.

    Attributes:
        shown: Positions of the columns, from left to right.
        rigid: Positions of those that are not folded.
    """

    shown: tuple[int, ...]
    rigid: frozenset[int]


def fit(
    titles: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    width: int,
    rigid: Collection[str] = (),
    drop: Sequence[str] = (),
) -> Fitted:
    """Choose the columns that fit; the first always stays.

    Args:
        titles: The headings.
        rows: The cells.
        width: How wide the terminal is.
        rigid: Headings of the columns whose cells are not folded.
        drop: Headings of the columns that go first, in this order; the others go from the right.
    """
    from rich.cells import cell_len

    natural = [max(map(cell_len, column)) for column in zip(titles, *rows, strict=True)]
    least = [
        size if title in rigid else min(size, max(_SHORTEST_TEXT, cell_len(title)))
        for title, size in zip(titles, natural, strict=True)
    ]
    first_to_go = [titles.index(title) for title in drop if title in titles]
    order = [*first_to_go, *(index for index in reversed(range(1, len(titles))) if index not in first_to_go)]
    shown = list(range(len(titles)))
    while order and sum(least[index] for index in shown) + GAP * (len(shown) - 1) > width:
        shown.remove(order.pop(0))
    fits = sum(least[index] for index in shown) <= width
    return Fitted(tuple(shown), frozenset(index for index in shown if fits and titles[index] in rigid))
