"""Distinguishes values invented by smooth edges and lossy formats from drawn ones."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

MANY = 8
"""Besides few classes that are far apart, more than this many other values are not drawn."""
_FAR = 32


def look_invented(numbers: Iterable[int], class_numbers: Iterable[int]) -> bool:
    """Return whether numbers without a class look like transitions between classes.

    Most data sets number classes 0, 1, ... with few gaps; then other numbers are further classes. If two classes such
    as 0 and 255 are far apart, many numbers in between are no classes.

    Args:
        numbers: The other numbers in a mask.
        class_numbers: The numbers of the classes.
    """
    ordered = sorted(class_numbers)
    apart = len(ordered) > 1 and min(after - before for before, after in pairwise(ordered)) >= _FAR
    return apart and len(set(numbers)) > MANY
