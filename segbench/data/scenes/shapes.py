"""Shapes and textures of the scenes as boolean masks, computed with integers only."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]

ROTATIONS = ((1, 0, 1), (4, 3, 5), (3, 4, 5), (12, 5, 13), (5, 12, 13), (4, -3, 5), (12, -5, 13))
"""Rotations (cosine, sine, length) as Pythagorean triples, so that turned shapes need no floats."""


class Grid(NamedTuple):
    """Pixel offsets from a centre within a window of the canvas.

    Attributes:
        rows: The window's rows on the canvas.
        columns: The window's columns on the canvas.
        y: (h, 1) offsets from the centre, downwards.
        x: (1, w) offsets from the centre, to the right.
    """

    rows: slice
    columns: slice
    y: NDArray[np.int64]
    x: NDArray[np.int64]


def grid_around(centre: tuple[int, int], radius: int, canvas: tuple[int, int]) -> Grid:
    """Return the square window of a radius around a centre (row, column), cut off at the canvas (height, width)."""
    (row, column), (height, width) = centre, canvas
    rows = slice(max(row - radius, 0), max(min(row + radius + 1, height), 0))
    columns = slice(max(column - radius, 0), max(min(column + radius + 1, width), 0))
    y = np.arange(rows.start, rows.stop, dtype=np.int64)[:, None] - row
    x = np.arange(columns.start, columns.stop, dtype=np.int64)[None, :] - column
    return Grid(rows, columns, y, x)


def disc(grid: Grid, radius: int) -> Mask:
    """Return a filled circle."""
    inside: Mask = grid.y * grid.y + grid.x * grid.x <= radius * radius
    return inside


def square(grid: Grid, half: int, rotation: tuple[int, int, int]) -> Mask:
    """Return a filled, turned square of side ``2 * half + 1``."""
    cosine, sine, length = rotation
    along = np.abs(cosine * grid.x + sine * grid.y)
    across = np.abs(cosine * grid.y - sine * grid.x)
    inside: Mask = np.maximum(along, across) <= half * length
    return inside


def triangle(grid: Grid, radius: int, rotation: tuple[int, int, int]) -> Mask:
    """Return a filled, turned triangle whose base and height are both ``1.5 * radius``."""
    cosine, sine, length = rotation
    along = cosine * grid.x + sine * grid.y
    down = cosine * grid.y - sine * grid.x
    from_top = down + radius * length
    inside: Mask = (2 * down <= radius * length) & (2 * np.abs(along) <= from_top)
    return inside


def fence(grid: Grid, half: tuple[int, int], period: int, thickness: int) -> Mask:
    """Return upright posts joined by two rails, within ``half`` = (half height, half width) of the centre."""
    height, width = half
    within = (np.abs(grid.y) <= height) & (np.abs(grid.x) <= width)
    posts = (grid.x + width) % period < thickness
    rails = np.abs(2 * np.abs(grid.y) - height) < thickness + 1
    lines: Mask = within & (posts | rails)
    return lines


def texture(kind: str, grid: Grid, period: int, rotation: tuple[int, int, int]) -> Mask:
    """Return the mask of dark pixels of a texture: stripes, checks, or none for ``plain``."""
    cosine, sine, length = rotation
    along = (cosine * grid.x + sine * grid.y) // (period * length)
    if kind == "stripes":
        return (along & 1).astype(bool)
    if kind == "checks":
        across = (cosine * grid.y - sine * grid.x) // (period * length)
        return ((along + across) & 1).astype(bool)
    return np.zeros(np.broadcast_shapes(grid.y.shape, grid.x.shape), dtype=bool)
