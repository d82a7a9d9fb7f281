"""Tells values that smooth edges and lossy formats invent from values that someone drew."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

MANY = 8
"""More values than these beside those of few classes, far from each other, were drawn by nobody."""
_FAR = 32


def look_invented(numbers: Iterable[int], class_numbers: Iterable[int]) -> bool:
    """Whether numbers that are no class's look like transitions between those that are.

    Classes are numbered 0, 1, ... or with few left out in most sets, where other numbers are further classes. Two
    classes such as 0 and 255 are far from each other, and many numbers in between are no classes.

    Args:
        numbers: What a mask holds beside the numbers of classes.
        class_numbers: The numbers of the classes.
    """
    ordered = sorted(class_numbers)
    apart = len(ordered) > 1 and min(after - before for before, after in pairwise(ordered)) >= _FAR
    return apart and len(set(numbers)) > MANY
