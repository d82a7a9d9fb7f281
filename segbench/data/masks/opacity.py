"""Refuses masks whose alpha channel distinguishes pixels of equal colour."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segbench.errors import DataError

_MOST_COLORS = 64
"""More colours than this are a picture, whose alpha channel may be the mask."""
_SHOWN = 5


class OpacityError(DataError):
    """The classes of a mask may be in its alpha channel, which is not read."""


def refuse_opacity(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Refuse a mask whose alpha channel holds more information than its colours.

    Reading only colours would merge classes that are stored in the alpha channel, and would merge a class with a
    transparent background of the same colour.

    Args:
        path: The file.
        pixels: (H, W, C) uint8 with alpha last.

    Raises:
        OpacityError: One colour has several alpha values, or a picture has a varying alpha channel; says what to do.
    """
    opacity = pixels[:, :, -1]
    if not opacity.size or opacity.min() == opacity.max():
        return
    codes: NDArray[Any] = np.zeros(opacity.shape, dtype=np.uint32)
    for band in range(pixels.shape[2]):
        codes = codes << 8 | pixels[:, :, band]
    both = np.unique(codes)
    colors = np.unique(both >> 8)
    if len(both) > len(colors) or len(colors) > _MOST_COLORS:
        raise OpacityError(f"{path}: {_told(opacity, len(colors))}")


def refuse_opacity_alone(
    path: Path, colors: NDArray[np.uint8], opacity: NDArray[np.uint8], used: Iterable[int], *, palette: str
) -> None:
    """Refuse a palette image to be read by colour if two of its indices differ in opacity alone.

    Args:
        path: The file.
        colors: (N, 3), the colours of its palette.
        opacity: (256,), the alpha value of each index.
        used: The indices of its pixels.
        palette: Name of the option that gives the classes' colours, for messages.

    Raises:
        OpacityError: Two of the indices have one colour and several alpha values; says what to do.
    """
    first: dict[tuple[int, ...], int] = {}
    for index in used:
        if index >= len(colors):
            continue
        color = tuple(colors[index].tolist())
        same = first.setdefault(color, index)
        if opacity[same] != opacity[index]:
            raise OpacityError(
                f"{path}: {same} and {index} of its own palette have one colour, {color}, and differ in opacity alone, "
                f"which is not read; where the stored numbers are the classes, leave '{palette}' out, else give each "
                "class its own colour"
            )


def refuse_second_band(path: Path, bands: NDArray[Any]) -> None:
    """Refuse a mask whose second band distinguishes pixels that are equal in the first.

    Args:
        path: The file.
        bands: (H, W, 2), both of 8 bits.

    Raises:
        DataError: One number of the first band has several in the second; names the file, and what to do.
    """
    first, second = bands[:, :, 0].astype(np.uint32), bands[:, :, 1].astype(np.uint32)
    if len(np.unique(first << 8 | second)) > len(np.unique(first)):
        raise DataError(
            f"{path}: has two bands, of which a mask holds one, and the second tells pixels apart that the first does "
            "not; save the band of the classes as a grey PNG"
        )


def _told(opacity: NDArray[Any], colors: int) -> str:
    levels = np.unique(opacity).tolist()
    shown = ", ".join(map(str, levels[:_SHOWN])) + (", …" if len(levels) > _SHOWN else "")
    where = "has one colour" if colors == 1 else f"has {colors:,} colours"
    what = "tells pixels of one colour apart" if colors <= _MOST_COLORS else "may be the mask of a picture"
    return (
        f"{where}, and an opacity (alpha channel) of {len(levels)} levels ({shown}) that {what}; opacity is not read. "
        "If it holds the classes, save it as a grey PNG, in Python Image.open(file).getchannel('A').save(file); "
        "if it does not, save the mask without it"
    )
