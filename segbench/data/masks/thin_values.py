"""Detects values that occur only as thin borders between two others, as interpolation creates them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

Value = TypeVar("Value", int, tuple[int, int, int])

_REACH = 2
"""A border pixel has two other values within this distance in pixels."""
_MOST_INSIDE = 0.02
"""Largest fraction of a thin value's pixels inside a 3x3 square of that value."""
_LEAST_BETWEEN = 0.8
"""Smallest fraction of its pixels with two other values nearby."""
_LEAST_PARTLY_BETWEEN = 0.25
_CLEARLY_INSIDE = 0.1
_ENOUGH = 200
"""A value with at least so many pixels, and so large a fraction inside its regions, is not thin."""
_RARE = 0.001
_SMALLEST = 3
_NEAR = 3.0
"""Tolerance of mixed colours in levels, since colours are rounded in each step of resizing."""


class Place(NamedTuple):
    """Location of a value in a mask.

    Attributes:
        value: The value.
        pixels: Its pixels.
        inside: Pixels whose eight neighbours have the same value.
        between: Pixels with two other values nearby.
    """

    value: Hashable
    pixels: int
    inside: int
    between: int


def places_of(indices: NDArray[Any], values: Sequence[Hashable]) -> list[Place]:
    """Return the locations of the values of a mask; empty if it is less than three pixels wide or high.

    Args:
        indices: (H, W) non-negative integers.
        values: The value of each index; larger indices have no value, such as void.
    """
    if min(indices.shape) < _SMALLEST:
        return []
    pixels = np.bincount(indices.ravel())
    inside, between = (
        np.bincount(indices[w], minlength=len(pixels)) for w in _inside_and_between(indices, len(values))
    )
    counted = zip(values, pixels.tolist(), inside.tolist(), between.tolist(), strict=False)
    return [Place(*counts) for counts in counted if counts[1]]


@dataclass
class ThinValues:
    """Counts the pixels of each value that are inside its regions, and those between two other values.

    Attributes:
        pixels: Pixels of each value.
        inside: Pixels whose eight neighbours have the same value.
        between: Pixels with two other values nearby.
    """

    pixels: Counter[Hashable] = field(default_factory=Counter)
    inside: Counter[Hashable] = field(default_factory=Counter)
    between: Counter[Hashable] = field(default_factory=Counter)

    def add(self, places: Iterable[Place]) -> None:
        """Count the values of one mask, as ``places_of`` finds them."""
        for place in places:
            self.pixels[place.value] += place.pixels
            self.inside[place.value] += place.inside
            self.between[place.value] += place.between

    def may_be_thin(self, value: Hashable) -> bool:
        """Return whether a value may still be thin; for most values, the first mask rules it out."""
        pixels = self.pixels[value]
        return pixels < _ENOUGH or self.inside[value] <= _CLEARLY_INSIDE * pixels

    @property
    def thin(self) -> tuple[Any, ...]:
        """The values that occur only as thin borders between two others."""
        return self._thin(_LEAST_BETWEEN)

    @property
    def partly_thin(self) -> tuple[Any, ...]:
        """The values of ``thin``, equally thin values of which fewer pixels lie between two others, and rare values."""
        most = _RARE * self.pixels.total()
        rare = (name for name, pixels in self.pixels.items() if not self.inside[name] and pixels <= most)
        return tuple(dict.fromkeys([*self._thin(_LEAST_PARTLY_BETWEEN), *rare]))

    def _thin(self, least_between: float) -> tuple[Any, ...]:
        return tuple(
            name
            for name, pixels in self.pixels.items()
            if self.inside[name] <= _MOST_INSIDE * pixels and self.between[name] >= least_between * pixels
        )


def _inside_and_between(indices: NDArray[Any], count: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the masks of pixels equal to their eight neighbours, and of pixels with two other values nearby."""
    from scipy.ndimage import maximum_filter, minimum_filter

    inside = minimum_filter(indices, 3, mode="nearest") == maximum_filter(indices, 3, mode="nearest")
    between = np.zeros(indices.shape, dtype=np.bool_)
    rows, columns = np.nonzero(~inside)
    padded = np.pad(indices, _REACH, mode="edge")
    own = indices[rows, columns]
    other = own.copy()
    two = np.zeros(len(rows), dtype=np.bool_)
    steps = range(2 * _REACH + 1)
    for down, right in product(steps, steps):
        near = padded[rows + down, columns + right]
        differs = (near < count) & (near != own)
        two |= differs & (other != own) & (near != other)
        other = np.where(differs & (other == own), near, other)
    between[rows, columns] = two
    return inside, between


def mixtures(thin: Iterable[Value], values: Iterable[Value]) -> tuple[Value, ...]:
    """Return the thin values that are mixtures of the other values, in order."""
    candidates: list[Value] = sorted(set(thin))
    others: list[Value] = [value for value in values if value not in candidates]
    # values that are no mixtures, such as white lines 2 pixels wide, may be parts of mixtures
    alone: list[Value] = [value for value in candidates if not _is_mixture(value, _beside(value, others, candidates))]
    parts = [*others, *alone]
    return tuple(value for value in candidates if value not in alone and _is_mixture(value, parts))


def _beside(value: Any, others: list[Any], candidates: list[Any]) -> list[Any]:
    return [*others, *(one for one in candidates if one != value)]


def _is_mixture(value: int | Sequence[int], parts: Sequence[Any]) -> bool:
    if len(parts) < 2:
        return False
    if isinstance(value, int):
        return bool(min(parts) < value < max(parts))
    from scipy.optimize import nnls

    weight = 1000.0  # makes the fractions sum to 1
    matrix = np.vstack([np.array(parts, dtype=np.float64).T, np.full(len(parts), weight)])
    try:
        _, off = nnls(matrix, np.array([*value, weight], dtype=np.float64))
    except RuntimeError:  # it did not converge
        return False
    return bool(off <= _NEAR)
