"""Leaves out splits whose masks are all void, such as the placeholders of Cityscapes' test images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from segbench.data.files.pair import Pair
from segbench.data.guess.found_classes import FoundClasses
from segbench.data.guess.layout import FoundLayout, FoundSplit
from segbench.data.guess.tree import Split
from segbench.data.masks.label_maps import LABEL_MAPS
from segbench.data.masks.stored import read_stored, used_numbers
from segbench.errors import DataError

_LOOKED_AT = 50


def without_void_splits(layout: FoundLayout, classes: FoundClasses) -> tuple[FoundLayout, list[str]]:
    """Return a layout in which splits with void masks have no masks, and notes about them.

    Args:
        layout: The guessed layout.
        classes: The guessed classes; ``ignore`` holds the void numbers.
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
    """Return whether masks hold only ignored numbers; of many masks, a spread selection is read."""
    some = pairs[:: max(1, len(pairs) // _LOOKED_AT)]
    try:
        stored = [read_stored(pair.label).numbers for pair in some]
    except DataError:
        return False
    return all(numbers is not None and set(used_numbers(numbers).tolist()) <= set(void) for numbers in stored)
