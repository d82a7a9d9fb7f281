"""Validates options about masks (of a suite or the command line) and builds the label table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from segbench.data.base import IGNORE_INDEX, Color
from segbench.data.masks.label_maps import LabelMap
from segbench.data.masks.label_table import UNKNOWN, VOID, LabelTable
from segbench.data.masks.terms import KEYS, MaskTerms
from segbench.errors import DataError

Values = Sequence[int | Sequence[int]]
Ignore = int | Sequence[int] | Literal["others"] | None
Palette = Sequence[Sequence[int | Sequence[int]]]
IgnoreColor = Sequence[int | Sequence[int]] | Literal["others"] | None

OTHERS = "others"
"""Stands for all numbers or colours without a class."""
_SMALLEST, _LARGEST = -(2**31), 2**31 - 1


def label_table(
    classes: Sequence[str],
    *,
    values: Values | None = None,
    ignore: Ignore = IGNORE_INDEX,
    palette: Palette | None = None,
    ignore_color: IgnoreColor = None,
    source: str = "folder",
    terms: MaskTerms = KEYS,
) -> LabelTable:
    """Build the label table of masks.

    Args:
        classes: The classes' names.
        values: The stored number, or numbers, of each class; 0, 1, ... by default.
        ignore: The stored number or numbers of void; ``others`` for all numbers without a class.
        palette: The colour, or colours, of each class.
        ignore_color: The colour or colours of void; ``others`` for all colours without a class.
        source: Origin of the options, for messages.
        terms: Names of the options there.

    Raises:
        DataError: The options are inconsistent.
    """
    told = _Told(source, terms)
    if palette is None and ignore_color is not None:
        raise DataError(
            f"{source}: {terms.ignore_color} is a colour, and masks are read by their numbers without {terms.palette}; "
            f"give {terms.palette}, the colour of each class, or say with {terms.ignore} which number is void"
        )
    numbers, void = _numbers_of(classes, values, told), _void_numbers(ignore, told)
    return LabelTable(
        len(classes),
        _meanings(numbers, void, classes, values, told),
        colors=None if palette is None else _colors(classes, palette, ignore_color, told),
        numbers_given=values is not None,
        other_number=VOID if ignore == OTHERS else UNKNOWN,
        other_color=VOID if ignore_color == OTHERS else UNKNOWN,
        terms=terms,
    )


def table_of_map(given: LabelMap) -> LabelTable:
    """Build the label table of a predefined map."""
    return label_table(given.classes, values=given.values, ignore=given.ignore)


def class_colors(palette: Palette) -> tuple[Color, ...]:
    """Return the (first) colour of each class.

    Raises:
        DataError: One is no colour.
    """
    return tuple(_color_list(given, _Told("folder", KEYS))[0] for given in palette)


class _Told(NamedTuple):
    """Names for messages: the origin of the options and their terms."""

    source: str
    terms: MaskTerms


def _numbers_of(classes: Sequence[str], values: Values | None, told: _Told) -> list[list[int]]:
    """Return the stored numbers of each class."""
    if values is None:
        return [[number] for number in range(len(classes))]
    if len(values) != len(classes):
        raise DataError(
            f"{told.source}: {len(classes)} classes but {len(values)} {told.terms.values}; give one for each"
        )
    numbers = [[given] if isinstance(given, int) else list(given) for given in values]
    for name, own in zip(classes, numbers, strict=True):
        if not own or not all(_SMALLEST <= number <= _LARGEST for number in own):
            raise DataError(
                f"{told.source}: {told.terms.values}: the class {name} has {own}; expected at least one whole "
                "number, none of more than 32 bits"
            )
    return numbers


def _void_numbers(ignore: Ignore, told: _Told) -> Sequence[int]:
    if ignore is None or isinstance(ignore, str):
        return []
    void = [ignore] if isinstance(ignore, int) else list(ignore)
    for number in void:
        if not _SMALLEST <= number <= _LARGEST:
            raise DataError(
                f"{told.source}: {told.terms.ignore}: {number} is no mask value; expected whole numbers, "
                f"{told.terms.nothing} or others"
            )
    if len(set(void)) < len(void):
        raise DataError(f"{told.source}: {told.terms.ignore}: a mask value is given twice in {list(void)}")
    return void


def _meanings(
    numbers: Sequence[Sequence[int]], void: Sequence[int], classes: Sequence[str], values: Values | None, told: _Told
) -> dict[int, int]:
    found: dict[int, int] = {}
    for label, own in enumerate(numbers):
        for number in own:
            if number in found:
                twice = f"of {classes[found[number]]} and of {classes[label]}" if found[number] != label else "twice"
                raise DataError(
                    f"{told.source}: {told.terms.values}: {number} is given {twice}; expected different mask values"
                )
            found[number] = label
    for number in void:
        if number in found:
            raise DataError(f"{told.source}: {_contradiction(number, classes[found[number]], classes, values)}")
    return found | dict.fromkeys(void, VOID)


def _contradiction(number: int, name: str, classes: Sequence[str], values: Values | None) -> str:
    if values is not None:
        return (
            f"{number} is the value of the class {name} and ignored as well; set ignore: null, or the number that is "
            "void"
        )
    others = [label + (label >= number) for label in range(len(classes))]
    return (
        f"the class {name} has the mask value {number}, which is ignored, so that it can never occur; give values: "
        f"{_short(others)} where {number} is none of the {len(classes)} classes, or leave {name} out of classes and "
        f"give values: {_short(others[:-1])}"
    )


def _short(numbers: Sequence[int]) -> str:
    return str(list(numbers)) if len(numbers) <= 8 else f"[{numbers[0]}, {numbers[1]}, ..., {numbers[-1]}]"


def _colors(classes: Sequence[str], palette: Palette, ignore_color: IgnoreColor, told: _Told) -> dict[Color, int]:
    source, terms = told
    if len(palette) != len(classes):
        raise DataError(
            f"{source}: {len(classes)} classes but {len(palette)} colours in {terms.palette}; give one for each"
        )
    void = [] if ignore_color is None or ignore_color == OTHERS else _color_list(ignore_color, told)
    found: dict[Color, int] = {}
    for label, given in enumerate([*palette, void]):
        for color in _color_list(given, told) if label < len(classes) else void:
            if color in found:
                raise DataError(
                    f"{source}: two classes, or a class and {terms.ignore_color}, have the same colour {list(color)}"
                )
            found[color] = label if label < len(classes) else VOID
    return found


def _color_list(given: Any, told: _Told) -> list[Color]:
    """Return the colours of a class or of void."""
    several = isinstance(given, list | tuple) and given and all(isinstance(part, list | tuple) for part in given)
    return [_color(color, told) for color in (given if several else [given])]


def _color(given: Any, told: _Told) -> Color:
    numbers = isinstance(given, list | tuple) and all(isinstance(part, int) for part in given)
    if not numbers or len(given) != 3 or min(given) < 0 or max(given) > 255:
        raise DataError(f"{told.source}: {given} is no colour; expected [red, green, blue], each 0 to 255")
    return (given[0], given[1], given[2])
