"""What one annotation file, or a folder of them, says: images with regions, labels in order, and what was noticed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from segbench.data.annotations.regions import AnnotatedImage, Size
from segbench.errors import DataError

LARGEST_SIDE = 100_000
"""Most pixels of an image's side, and of the way to a point."""


@dataclass(frozen=True)
class AnnotationSource:
    """What annotations say.

    Attributes:
        images: The images.
        labels: The labels in the order of their classes.
        noticed: How often something was seen that a person has to know, by a sentence with ``{}`` for the count.
        notes: Further sentences.
    """

    images: tuple[AnnotatedImage, ...]
    labels: tuple[str, ...]
    noticed: Counter[str] = field(default_factory=Counter)
    notes: tuple[str, ...] = ()


def entries(content: Mapping[str, Any], key: str, file: Path) -> list[Mapping[str, Any]]:
    """Return a list of objects in a JSON file.

    Raises:
        DataError: It is something else.
    """
    found = content.get(key)
    if not isinstance(found, list) or not all(isinstance(one, Mapping) for one in found):
        raise DataError(f"{file}: {key!r} is no list of objects, as its format has it")
    return found


def value(entry: Mapping[str, Any], key: str, where: str) -> Any:
    """Return a value of an object.

    Raises:
        DataError: It has none of this key.
    """
    if entry.get(key) is None:
        raise DataError(f"{where}: has no {key!r}, which its format needs")
    return entry[key]


def identifier(entry: Mapping[str, Any], key: str, where: str) -> int | str:
    """Return an id, which is a number or text.

    Raises:
        DataError: There is none, or it is something else.
    """
    found = value(entry, key, where)
    if isinstance(found, float) and found.is_integer():
        return int(found)
    if isinstance(found, bool) or not isinstance(found, int | str):
        raise DataError(f"{where}: its {key!r} is {found!r}; a whole number or text is expected")
    return found


def by_id(
    listed: Sequence[Mapping[str, Any]], what: str, *, key: str = "id", same: Sequence[str] | None = None
) -> dict[int | str, Mapping[str, Any]]:
    """Return entries by their id, once each.

    Args:
        listed: The entries.
        what: What they are, for messages, such as ``train.json: the image``.
        key: The key of the id.
        same: Keys in which entries of one id must agree; all by default.

    Raises:
        DataError: Different entries have one id, as in files that were joined.
    """
    found: dict[int | str, Mapping[str, Any]] = {}
    for entry in listed:
        own = identifier(entry, key, what)
        first = found.setdefault(own, entry)
        if any(first.get(each) != entry.get(each) for each in same or {*first, *entry}):
            raise DataError(
                f"{what} {own!r} is described twice, and differently; an id stands for one: give each its own (files "
                "that are joined need new ids)"
            )
    return found


def another_type(key: int | str, known: Iterable[int | str]) -> str:
    """Return a remark if an id is known as text instead of a number, or the other way round."""
    return ": one is a number, the other text" if str(key) in map(str, known) else ""


def crowd(entry: Mapping[str, Any], where: str) -> bool:
    """Return whether something is a crowd.

    Raises:
        DataError: Its ``iscrowd`` is neither 0 nor 1.
    """
    given = entry.get("iscrowd")
    if given not in (None, 0, 1):
        raise DataError(f"{where}: its 'iscrowd' is {given!r}; 0 or 1 is expected")
    return bool(given)


def size_of(entry: Mapping[str, Any], keys: tuple[str, str], where: str) -> Size:
    """Return the height and width that an object gives.

    Raises:
        DataError: They are no whole numbers above 0.
    """
    given = [value(entry, key, where) for key in keys]
    if not all(isinstance(side, int | float) and side == int(side) and 0 < side <= LARGEST_SIDE for side in given):
        raise DataError(f"{where}: {' and '.join(keys)} are {given}; the image's height and width are expected")
    return int(given[0]), int(given[1])


def finite_points(given: Any, where: str) -> list[tuple[float, float]]:
    """Return [[x, y], ...] as points.

    Raises:
        DataError: They are something else, or not finite.
    """
    points: Sequence[Any] = given if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    pairs = all(isinstance(point, Sequence) and len(point) == 2 and not isinstance(point, str) for point in points)
    if not pairs or not all(isinstance(one, int | float) and math.isfinite(one) for point in points for one in point):
        raise DataError(f"{where}: its points are no list of pairs of numbers")
    return [(float(x), float(y)) for x, y in points]
