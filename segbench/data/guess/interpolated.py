"""Detects masks in which interpolation or a lossy format invented values between those of the classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from segbench.data.masks.stored import NumberArray
from segbench.data.masks.thin_values import ThinValues, Value, mixtures

REMEDY = "resize masks with nearest-neighbour interpolation, or set each pixel to the nearest of the class values"
"""What to do about interpolated masks."""

_FEWEST = 2
_SHOWN = 5
_LEAST_SHARE = 0.2
"""Interpolation leaves values between all regions, so one thin value among ten is a class, such as poles."""
_MANY = 16
_TWO_LEVELS = 0.97
"""The share of a lossy file's pixels near black or white from which on it was black and white once."""
_NEAR = 48


def invented(found: ThinValues, pixels: Mapping[Value, int]) -> tuple[Value, ...]:
    """Return the values invented by interpolation; empty if they may be thin classes.

    Invented values are mixtures of others, always lie between two others, and are at least as many as the others.
    Consecutive numbers are classes.

    Args:
        found: Locations of the values.
        pixels: Pixels of each value of all masks.
    """
    between = mixtures(found.thin, pixels)
    rest = len(pixels) - len(between)
    without_gaps = sorted(pixels) == list(range(len(pixels)))
    if without_gaps or rest < 2 or len(between) < max(_FEWEST, rest):
        return ()
    return mixtures(found.partly_thin, pixels)  # rare values may have only one other value nearby


def invented_note(between: Sequence[Value]) -> str:
    """Return the note about values invented by interpolation."""
    return (
        f"the masks hold {len(between)} values that lie between the others and fill nothing but thin borders, as "
        f"resizing or smoothing with interpolation leaves them: {_listed(between)}. They are no classes: {REMEDY}; "
        "until then 'segbench data check' refuses the masks"
    )


def border_note(between: Sequence[Value], *, values: int) -> list[str]:
    """Return notes about values that may be thin classes or invented; none for few values among many.

    Args:
        between: The thin values.
        values: Number of values.
    """
    if len(between) < _LEAST_SHARE * values or not between:
        return []
    fills, it = ("fills", "it is a class") if len(between) == 1 else ("fill", "they are classes")
    text = (
        f"{_listed(between)} {fills} nothing but thin borders between two others: if {it}, all is well; if the masks "
        f"were resized with interpolation, {REMEDY}"
    )
    return [text]


def _listed(values: Sequence[Value]) -> str:
    more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
    return ", ".join(map(str, values[:_SHOWN])) + more


def levels_were_two(levels: NumberArray) -> bool:
    """Whether lossy files were black and white once.

    Args:
        levels: (256,) pixels of each grey level.
    """
    black, white = int(levels[: _NEAR + 1].sum()), int(levels[-_NEAR - 1 :].sum())
    return bool(black and white and black + white >= _TWO_LEVELS * levels.sum())


def numbers_were_two(pixels: Mapping[int, int]) -> bool:
    """Whether numbers are black and white, but for a few pixels of many values beside them, as JPEG invents them."""
    if len(pixels) <= _MANY or min(pixels) < 0 or max(pixels) > 255 or not {0, 255} <= pixels.keys():
        return False
    if not any(255 - _NEAR <= number < 255 for number in pixels):
        return False  # classes from 0 on beside 255
    near = sum(count for number, count in pixels.items() if number <= _NEAR or number >= 255 - _NEAR)
    return near >= _TWO_LEVELS * sum(pixels.values())
