"""Tells which mask values may be void by where they lie, so that a person is asked."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

_ALL_BITS = frozenset((15, 127, 255, 32767, 65535, 2**31 - 1))
"""The largest numbers of 4, 8, 16 and 32 bits; without a sign, -1 is stored as one of them."""
_WHOLE_FILES = frozenset((255, 65535))
"""Those that tell of void beside any values: the largest of the usual kinds of files."""
_EVEN = 2
"""Levels whose distances differ by no more than this, such as 0, 128 and 255, are spread over the range on purpose."""


def lying_apart(values: Sequence[int]) -> tuple[int, ...]:
    """Return the last one or two of some mask values where they may be void: they lie apart from the others.

    Beside 0, 1, ..., that is the largest number of a kind of files, or one with a wide gap below it. Beside other
    values, it is 255 or 65535, unless all are evenly spread.

    Args:
        values: The values that masks hold, none below 0, ascending.
    """
    for count in (2, 1):
        rest, last = list(values[:-count]), values[-count:]
        if len(rest) < 2:
            continue
        in_order = rest == list(range(len(rest)))
        if in_order and _apart(last[0], rest) and (count == 1 or _is_pair(*last)):
            return tuple(last)
        if count == 1 and not in_order and last[0] in _WHOLE_FILES and not _evenly_spread(values):
            return tuple(last)
    return ()


def _is_pair(first: int, second: int) -> bool:
    """Whether two values are both of the kind that is void, such as 254 and 255."""
    return second in _ALL_BITS and (first in _ALL_BITS or first == second - 1)


def _apart(value: int, rest: Sequence[int]) -> bool:
    gap = value - rest[-1]
    return gap > 1 and (value in _ALL_BITS or gap > max(2, len(rest)))


def _evenly_spread(values: Sequence[int]) -> bool:
    steps = [after - before for before, after in pairwise(values)]
    return max(steps) - min(steps) <= _EVEN
