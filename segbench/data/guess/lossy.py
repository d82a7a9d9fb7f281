"""Detects masks that were black and white before a lossy format invented values around borders."""

from __future__ import annotations

from collections.abc import Mapping

from segbench.data.masks.stored import NumberArray

_MANY = 16
_TWO_LEVELS = 0.97
"""A lossy file was black and white if at least this fraction of its pixels is near black or white."""
_NEAR = 48


def levels_were_two(levels: NumberArray) -> bool:
    """Return whether lossy files were black and white.

    Args:
        levels: (256,) pixels of each grey level.
    """
    black, white = int(levels[: _NEAR + 1].sum()), int(levels[-_NEAR - 1 :].sum())
    return bool(black and white and black + white >= _TWO_LEVELS * levels.sum())


def numbers_were_two(pixels: Mapping[int, int]) -> bool:
    """Return whether numbers are black and white, except for few pixels of many values, as JPEG invents them."""
    if len(pixels) <= _MANY or min(pixels) < 0 or max(pixels) > 255 or not {0, 255} <= pixels.keys():
        return False
    if not any(255 - _NEAR <= number < 255 for number in pixels):
        return False  # classes from 0 on beside 255
    near = sum(count for number, count in pixels.items() if number <= _NEAR or number >= 255 - _NEAR)
    return near >= _TWO_LEVELS * sum(pixels.values())
