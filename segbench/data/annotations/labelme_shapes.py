"""Draws LabelMe's shapes as LabelMe does, by Pillow."""

from __future__ import annotations

import base64
import binascii
import io
import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from segbench.data.annotations.regions import BoolMask, Region, Size
from segbench.data.annotations.source import finite_points, value
from segbench.errors import DataError

Points = list[tuple[float, float]]

_NUMBER_OF_POINTS = {"polygon": 3, "oriented_rectangle": 3, "rectangle": 2, "circle": 2, "line": 2, "linestrip": 2}
"""Points that a shape has at least."""
LINES = ("line", "linestrip")
WITHOUT_AREA = ("point", "points")


def region_of(shape: Mapping[str, Any], where: str, *, line_width: int | None) -> Region | None:
    """Return the region that a shape covers; None where that is none, as of a point.

    Args:
        shape: LabelMe's shape.
        where: What to call it in messages.
        line_width: How many pixels wide lines are drawn.

    Raises:
        DataError: It is of an unknown kind, has too few points, or is a line without a width.
    """
    label = str(value(shape, "label", where)).strip()
    kind = str(shape.get("shape_type") or "polygon")
    if kind in WITHOUT_AREA:
        return None
    points = finite_points(value(shape, "points", where), where)
    if kind == "mask":
        return Region(label, partial(_placed, _bitmap(shape, where), points, where))
    if kind not in _NUMBER_OF_POINTS:
        raise DataError(f"{where}: is a {kind}; known: {', '.join([*_NUMBER_OF_POINTS, 'mask', *WITHOUT_AREA])}")
    if len(points) < _NUMBER_OF_POINTS[kind]:
        raise DataError(f"{where}: a {kind} of {len(points)} points; at least {_NUMBER_OF_POINTS[kind]} are expected")
    if kind in LINES and line_width is None:
        raise DataError(f"{where}: a {kind} has no area; give --line-width, how many pixels wide lines are drawn")
    return Region(label, partial(_drawn, kind, points, line_width or 1))


def _drawn(kind: str, points: Points, line_width: int, size: Size) -> BoolMask:
    canvas = Image.new("1", (size[1], size[0]))
    pen = ImageDraw.Draw(canvas)
    if kind == "rectangle" and len(points) == 2:
        (left, right), (top, bottom) = (sorted(side) for side in zip(*points, strict=True))
        pen.rectangle((left, top, right, bottom), fill=1, outline=1)
    elif kind == "circle":
        (x, y), edge = points[:2]
        radius = math.dist((x, y), edge)
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=1, outline=1)
    elif kind in LINES:
        pen.line(points, fill=1, width=line_width)
    else:
        pen.polygon(points, fill=1, outline=1)
    return np.array(canvas, dtype=np.bool_)


def _bitmap(shape: Mapping[str, Any], where: str) -> BoolMask:
    try:
        content = base64.b64decode(str(value(shape, "mask", where)), validate=True)
        with Image.open(io.BytesIO(content)) as image:
            return np.asarray(image.convert("L")) > 0
    except (binascii.Error, OSError, ValueError) as error:
        raise DataError(f"{where}: its mask is no image: {error}") from None


def _placed(bitmap: BoolMask, points: Points, where: str, size: Size) -> BoolMask:
    """Return a bitmap at its first point, the left upper corner, in a mask of the image's size."""
    (x, y), (height, width) = (int(points[0][0]), int(points[0][1])), bitmap.shape
    if x < 0 or y < 0 or y + height > size[0] or x + width > size[1]:
        raise DataError(f"{where}: its mask of {height}x{width} pixels at ({x}, {y}) is not inside the image")
    mask = np.zeros(size, dtype=np.bool_)
    mask[y : y + height, x : x + width] = bitmap
    return mask
