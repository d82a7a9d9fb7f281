"""Detects colours close to those of a palette, which come from smooth edges and lossy formats."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations

import numpy as np

from segbench.data.base import Color

NEAR = 16
"""Colours are near if no channel differs by more than this; JPEG's deviations around flat areas are smaller."""
_MANY = 16
"""More than this many colours outside a palette are not drawn."""
_LEAST_MIXED = 3


def nearest(color: Color, colors: Iterable[Color]) -> Color | None:
    """Return the nearest colour by the largest channel difference; None if none is near."""
    candidates = list(colors)
    if not candidates:
        return None
    apart = np.abs(np.array(candidates, dtype=np.int16) - np.array(color, dtype=np.int16)).max(axis=1)
    return candidates[int(apart.argmin())] if apart.min() <= NEAR else None


def near_palette(colors: Iterable[Color], palette: Iterable[Color]) -> str:
    """Return advice (the end of a message) about colours that are near a palette's, mixtures of them, or many.

    Args:
        colors: Colours that are not in the palette, the most frequent first.
        palette: Those that were expected.
    """
    given, expected = list(colors), list(palette)
    example = _example(given[:_MANY], expected) or ("so many are in no drawn mask" if len(given) > _MANY else "")
    if not example:
        return ""
    return (
        f"; {example}: colours have to be exact, and smooth (anti-aliased) edges, resizing and lossy formats leave "
        "others; export the masks without these, or set each pixel to the nearest colour of a class"
    )


def _example(colors: Sequence[Color], palette: Sequence[Color]) -> str:
    """Return the first colour near one of a palette; else the first of several mixtures."""
    for color in colors:
        if near := nearest(color, palette):
            return f"{color} is nearly {near}"
    mixed = [(color, ends) for color in colors if (ends := _mixed_of(color, palette[:_MANY]))]
    if len(mixed) < _LEAST_MIXED:  # may be a class between two others
        return ""
    color, (one, other) = mixed[0]
    return f"{color} lies between {one} and {other}"


def _mixed_of(color: Color, palette: Sequence[Color]) -> tuple[Color, Color] | None:
    """Return the two colours that one is a mixture of, if there are any."""
    point = np.array(color, dtype=np.float64)
    for one, other in combinations(palette, 2):
        start, way = np.array(one, dtype=np.float64), np.subtract(other, one, dtype=np.float64)
        share = np.clip((point - start) @ way / max(way @ way, 1.0), 0, 1)
        if np.abs(start + share * way - point).max() <= NEAR:
            return one, other
    return None
