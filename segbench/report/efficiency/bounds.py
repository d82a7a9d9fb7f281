"""Where a curve over numbers of images passes a level: the first time, and for good."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

_STEPS = 50
"""Points between two tested numbers of images at which a curve is looked at; between these, it is taken as straight."""


def grid(sizes: Sequence[int]) -> FloatArray:
    """Return numbers of images from the fewest to the most, evenly on a logarithmic scale, with those given."""
    logarithms = np.log(np.asarray(sizes, np.float64))
    parts = [np.linspace(low, high, _STEPS, endpoint=False) for low, high in pairwise(logarithms)]
    images: FloatArray = np.exp(np.concatenate([*parts, logarithms[-1:]]))
    images[::_STEPS] = sizes  # as they are, and not the exponential of their logarithm
    return images


def first_reached(images: FloatArray, above: FloatArray) -> float | None:
    """Return from which number of images a curve is first at or above 0; None where it never is.

    Args:
        images: (K,) numbers of images, ascending.
        above: (K,) the curve.
    """
    reached = np.flatnonzero(above >= 0)
    return _zero_before(images, above, int(reached[0])) if len(reached) else None


def reached_for_good(images: FloatArray, above: FloatArray) -> float | None:
    """Return from which number of images on a curve stays at or above 0; None where it ends below."""
    below = np.flatnonzero(~(above >= 0))
    if not len(below):
        return float(images[0])
    last = int(below[-1])
    return _zero_before(images, above, last + 1) if last + 1 < len(images) else None


def _zero_before(images: FloatArray, above: FloatArray, place: int) -> float:
    """Return where the curve reaches 0 between a place and the one before, straight on the logarithm of images."""
    if place == 0 or above[place] == 0:
        return float(images[place])
    low, high = float(above[place - 1]), float(above[place])
    share = -low / (high - low)
    before, after = np.log(images[place - 1]), np.log(images[place])
    return float(np.exp(before + share * (after - before)))
