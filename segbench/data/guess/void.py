"""Finds mask values that may be void, so that the user is asked, and leaves out splits whose masks are all void."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

from segbench.data.files.pair import Pair
from segbench.data.guess.found_classes import FoundClasses
from segbench.data.guess.found_layout import FoundLayout, FoundSplit
from segbench.data.guess.tree import Split
from segbench.data.masks.label_maps import LABEL_MAPS
from segbench.data.masks.stored import read_stored, used_numbers
from segbench.errors import DataError

_LOOKED_AT = 50
"""So many masks of a split are looked at, whether they are all void."""

_ALL_BITS = frozenset((15, 127, 255, 32767, 65535, 2**31 - 1))
"""The largest unsigned numbers of 4, 8, 16 and 32 bits, as which -1 is stored."""
_WHOLE_FILES = frozenset((255, 65535))
"""Numbers that mean void beside any values: the largest of common file types."""
_EVEN = 2
"""Levels whose distances differ by at most this, such as 0, 128 and 255, are evenly spread classes."""


def lying_apart(values: Sequence[int]) -> tuple[int, ...]:
    """Return the last one or two mask values if they lie apart from the others and may be void.

    Beside 0, 1, ..., a value may be void if it is the largest number of a file type or follows a wide gap. Beside other
    values, 255 or 65535 may be void, unless all values are evenly spread.

    Args:
        values: The non-negative mask values in ascending order.
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
    """Return whether two values are both typical void values, such as 254 and 255."""
    return second in _ALL_BITS and (first in _ALL_BITS or first == second - 1)


def _apart(value: int, rest: Sequence[int]) -> bool:
    gap = value - rest[-1]
    return gap > 1 and (value in _ALL_BITS or gap > max(2, len(rest)))


def _evenly_spread(values: Sequence[int]) -> bool:
    steps = [after - before for before, after in pairwise(values)]
    return max(steps) - min(steps) <= _EVEN


def without_void_splits(layout: FoundLayout, classes: FoundClasses) -> tuple[FoundLayout, list[str]]:
    """Return a layout in which splits of void masks have images alone, and what is to be said of them.

    Args:
        layout: Where images and masks are.
        classes: What the masks hold; its ``ignore`` says which numbers are void.
    """
    void = set(LABEL_MAPS[classes.names].ignore if isinstance(classes.names, str) else classes.ignore)
    notes = []
    for split, found in layout.paired.items():
        if void and split in (Split.VALIDATION, Split.TEST) and _all_void(found.pairs, void):
            alone = FoundSplit(found.name, without_mask=found.without_mask + len(found.pairs))
            layout = replace(layout, splits={**layout.splits, split: alone})
            notes.append(
                f"{found.name}: its {len(found.pairs):,} masks hold nothing but void, so that nothing can be scored on "
                "them; the split is left out"
            )
    return layout, notes


def _all_void(pairs: Sequence[Pair], void: Iterable[int]) -> bool:
    """Whether masks, of many some that are spread over all, hold ignored numbers only."""
    some = pairs[:: max(1, len(pairs) // _LOOKED_AT)]
    try:
        stored = [read_stored(pair.label).numbers for pair in some]
    except DataError:
        return False
    return all(numbers is not None and set(used_numbers(numbers).tolist()) <= set(void) for numbers in stored)
