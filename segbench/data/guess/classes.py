"""Guesses the classes from the values in masks; values that may be a class or void are left open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from segbench.data.base import Color
from segbench.data.guess.found_classes import FoundClasses
from segbench.data.guess.interpolated import (
    REMEDY,
    border_note,
    invented,
    invented_note,
    levels_were_two,
    numbers_were_two,
)
from segbench.data.guess.void import lying_apart
from segbench.data.masks.class_files import ClassFile
from segbench.data.masks.label_maps import LABEL_MAPS
from segbench.data.masks.survey import BORDER_COLORS, BORDER_NUMBER, MOST_LEVELS, MaskSurvey, is_grey
from segbench.data.masks.thin_values import mixtures
from segbench.data.masks.void_borders import between_classes, only_borders

_MOST_CLASSES = 150
"""Most consecutive numbers of classes; more are a picture or object ids."""
_NEARLY_ALL = 0.8
"""If at least this fraction of the numbers from 0 on occurs, missing ones are rare classes."""
_MANY = 16
_BACKGROUND = "background"
_PICTURES = (
    f"the masks have more than {MOST_LEVELS} colours, as pictures do: they hold no classes. If they were resized with "
    f"interpolation, {REMEDY}"
)


def guess_classes(found: MaskSurvey, *, named: ClassFile | None = None, ending: str = "") -> FoundClasses:
    """Guess the classes of masks.

    Args:
        found: The survey of the masks.
        named: A file of class names, if there is one.
        ending: Suffix of mask names; Cityscapes' suffixes define the meaning of the numbers.
    """
    classes = replace(_of(found, named, ending), read=found.read, files=found.files)
    notes = list(classes.notes)
    if found.unreadable:
        notes.append(f"{found.unreadable:,} of {found.files:,} masks cannot be read: {found.problem}")
    if found.lossy is not None:
        notes.append(
            f"{found.lossy.name} and others are in a lossy format (JPEG or alike), which invents values around borders:"
            " export the masks as PNG, or set each pixel to the nearest class value (with two classes, a threshold) "
            "and save as PNG"
        )
    return replace(classes, notes=tuple(notes))


def _of(found: MaskSurvey, named: ClassFile | None, ending: str) -> FoundClasses:
    if found.picture is not None or (len(found.colors) > MOST_LEVELS and not is_grey(found.colors)):
        return FoundClasses(notes=(_PICTURES,))
    if _colors_decide(found):
        return _by_color(found, named)
    numbers, shown = _numbers(found)
    named = _with_background(named, numbers)
    if found.lossy is not None and not numbers:
        return _of_lossy(found, named)
    if not numbers:
        return FoundClasses()
    if not shown and numbers_were_two(numbers):
        names, said = _names((0, 255), named)
        told = (
            f"the masks hold {len(numbers)} values around 0 and 255, as JPEG leaves them, though they are not JPEG: "
            "set each pixel to the nearer of the two (a threshold) and save the masks as PNG; until then "
            "'segbench data check' refuses them"
        )
        return FoundClasses(names, values=(0, 255), notes=(told, *said))
    classes = _by_number(found, numbers, named, ending) if shown else _of_areas(found, numbers, named, ending)
    if found.colors and not classes.values:
        classes = replace(classes, values=tuple(range(classes.count)))
    return replace(classes, notes=(*classes.notes, *_palette_note(found))) if shown else classes


def _with_background(named: ClassFile | None, numbers: Mapping[int, int]) -> ClassFile | None:
    """Return a file of numbers and names with a background at 0, which such files leave out."""
    if named is None or not named.by_value or 0 not in numbers or 0 in named.by_value:
        return named
    if any(_BACKGROUND in name.lower() for name in named.names):
        return named
    return replace(named, by_value={0: _BACKGROUND, **named.by_value})


def _of_areas(found: MaskSurvey, numbers: Mapping[int, int], named: ClassFile | None, ending: str) -> FoundClasses:
    """Return the classes without numbers invented by interpolation; note those that may be."""
    between = invented(found.thin_numbers, numbers)
    kept = {number: count for number, count in numbers.items() if number not in between}
    classes = _by_number(found, kept, named, ending)
    if between:
        values = classes.values or tuple(range(classes.count))
        return replace(classes, values=values, notes=(invented_note(between), *classes.notes))
    if isinstance(classes.names, str):
        return classes
    thin = mixtures(found.thin_numbers.thin, [number for number in numbers if number not in classes.ignore])
    return replace(classes, notes=(*classes.notes, *border_note(thin, values=len(numbers))))


def _colors_decide(found: MaskSurvey) -> bool:
    """Return whether colours define the classes: for RGB files that are not grey, or if palettes differ."""
    if any(len(set(color)) > 1 for color in found.colors):
        return True
    if any(len([color for color in colors if color is not None]) > 1 for colors in found.indices.values()):
        return True
    greys = {color[0] for colors in found.indices.values() for color in colors if color and len(set(color)) == 1}
    beside = set(found.numbers) | {color[0] for color in found.colors}
    return bool(greys) and len(greys) == len(found.indices) and bool(beside) and not beside <= set(found.indices)


def _by_color(found: MaskSurvey, named: ClassFile | None) -> FoundClasses:
    pixels = dict(found.colors)
    for colors in found.indices.values():
        for color, count in colors.items():
            if color is not None:
                pixels[color] = pixels.get(color, 0) + count
    for stretch, numbers in ((1, found.numbers), *found.few_bits.items()):
        for number, count in numbers.items():
            if 0 <= number * stretch <= 255:
                grey = (number * stretch,) * 3
                pixels[grey] = pixels.get(grey, 0) + count
    between = invented(found.thin_colors, pixels)
    pixels = {color: count for color, count in pixels.items() if color not in between}
    if len(pixels) > MOST_LEVELS:
        return FoundClasses(notes=(f"the masks have more than {MOST_LEVELS} colours: they hold no classes",))
    border = _border_color(found, pixels, named)
    seen = sorted(color for color in pixels if color != border)
    notes = [f"{border} fills thin borders only, and is void here; it could be a class"] if border else []
    thin = mixtures(found.thin_colors.thin, seen) if not between else ()
    notes += [invented_note(between)] if between else border_note(thin, values=len(seen))
    if found.numbers and (found.colors or found.indices):
        notes.append("some masks are grey and others coloured: grey ones are read by the colour that they show")
    if named is not None and named.by_color and set(seen) <= named.by_color.keys():
        listed = tuple(color for color in named.by_color if color != border)
        names = tuple(named.by_color[color] for color in listed)
        notes.append(f"the names and colours are those of {named.path.name}")
        return FoundClasses(names, palette=listed, ignore_color=border, notes=tuple(notes))
    names, said = _names(tuple(range(len(seen))), named)
    return FoundClasses(names, palette=tuple(seen), ignore_color=border, notes=(*notes, *said))


def _border_color(found: MaskSurvey, pixels: Mapping[Color, int], named: ClassFile | None) -> Color | None:
    """Return the colour of void borders: one that data sets use for them, only in thin lines, and not a named class."""
    for color in BORDER_COLORS:
        free = named is None or color not in named.by_color
        lines = only_borders(pixels=found.pixels, void=pixels.get(color, 0), thick=found.thick[color])
        apart = between_classes(void=pixels.get(color, 0), enclosed=found.enclosed[color])
        if len(pixels) > 2 and free and found.colors.get(color) and lines and apart:
            return color
    return None


def _numbers(found: MaskSurvey) -> tuple[dict[int, int], bool]:
    """Return the pixels of each number, and whether some come from palettes.

    Numbers of grey files with few bits are stretched if only the stretched ones occur elsewhere: 1 bit to 0 and 255.
    """
    pixels: dict[int, int] = dict(found.numbers)
    for color, count in found.colors.items():
        pixels[color[0]] = pixels.get(color[0], 0) + count
    for index, colors in found.indices.items():
        pixels[index] = pixels.get(index, 0) + sum(colors.values())
    others = set(pixels)
    for stretch, numbers in found.few_bits.items():
        as_shown = bool(others) and not set(numbers) <= others and {n * stretch for n in numbers} <= others
        for number, count in numbers.items():
            value = number * stretch if as_shown else number
            pixels[value] = pixels.get(value, 0) + count
    return pixels, bool(found.indices)


def _by_number(found: MaskSurvey, pixels: Mapping[int, int], named: ClassFile | None, ending: str) -> FoundClasses:
    below = tuple(sorted(number for number in pixels if number < 0))
    seen = sorted(number for number in pixels if number >= 0)
    known = _of_cityscapes(set(pixels), ending)
    if known is not None:
        return known
    note = (f"the negative {', '.join(map(str, below))} is taken for void",) if below else ()
    apart = () if _named_all(named, seen) else lying_apart(seen)
    if apart:
        return _beside(apart, found, pixels, named, ignore=below, notes=note)
    return _of_numbers(seen, named, ignore=below, notes=note)


def _beside(
    apart: tuple[int, ...],
    found: MaskSurvey,
    pixels: Mapping[int, int],
    named: ClassFile | None,
    *,
    ignore: tuple[int, ...],
    notes: tuple[str, ...],
) -> FoundClasses:
    """Return the classes if some values may be void: thin borders of 255 are void, others are left open."""
    rest = [number for number in sorted(pixels) if number >= 0 and number not in apart]
    from_zero = _classes_from_zero(rest, named) is not None
    if from_zero and apart == (BORDER_NUMBER,):
        void, enclosed = pixels[BORDER_NUMBER], found.enclosed[BORDER_NUMBER]
        thin = only_borders(pixels=found.pixels, void=void, thick=found.thick[BORDER_NUMBER])
        if (
            thin and between_classes(void=void, enclosed=enclosed) and (rest != [0, 1] or found.one_beside_border)
        ):  # else 1 and 255 may be two ways to mark one class
            told = f"{BORDER_NUMBER} fills thin borders between classes only, and is void here; it could be a class"
            return _of_numbers(rest, named, ignore=(*ignore, BORDER_NUMBER), notes=(*notes, told))
    if _named_all(named, rest):
        assert named is not None
        is_void = f"{' and '.join(map(str, apart))} {'is' if len(apart) == 1 else 'are'} void here"
        told = f"{is_void}: {named.path.name} does not name {'it' if len(apart) == 1 else 'them'}"
        return _of_numbers(rest, named, ignore=(*ignore, *apart), notes=(*notes, told))
    classes = _of_numbers(rest, named, ignore=ignore, notes=notes)
    if not classes.names or isinstance(classes.names, str):
        return classes
    if rest == [0, 1] and apart == (BORDER_NUMBER,) and not found.one_beside_border:
        told = (
            f"no mask holds both 1 and {BORDER_NUMBER}: if both are one class, give values: [0, [1, {BORDER_NUMBER}]]"
        )
        classes = replace(classes, notes=(*classes.notes, told))
    return replace(
        classes,
        names=(*classes.names, *(f"value_{value}" for value in apart)),
        values=(*(classes.values or range(classes.count)), *apart),
        open_values=apart,
    )


def _of_numbers(
    seen: list[int], named: ClassFile | None, *, ignore: tuple[int, ...], notes: tuple[str, ...]
) -> FoundClasses:
    count = _classes_from_zero(seen, named)
    if count is not None:
        names, said = _names(tuple(range(count)), named)
        return FoundClasses(names, ignore=ignore, notes=(*notes, *said))
    if named is not None and set(seen) <= named.by_value.keys():
        seen = sorted(number for number in named.by_value if number not in ignore)
    if len(seen) > MOST_LEVELS:
        return FoundClasses(
            notes=(f"the masks hold {len(seen):,} different values: they look like pictures or probabilities",)
        )
    names, said = _names(tuple(seen), named)
    return FoundClasses(names, values=tuple(seen), ignore=ignore, notes=(*notes, *said))


def _classes_from_zero(seen: list[int], named: ClassFile | None) -> int | None:
    """Return the number of classes if the numbers are 0, 1, ...; else None."""
    if named is not None and _named_all(named, seen):
        listed = list(named.by_value) if named.by_value else list(range(len(named.in_order)))
        return len(listed) if _is_range(sorted(listed)) else None
    if _is_range(seen):
        return len(seen) if len(seen) <= _MOST_CLASSES + 1 else None
    dense = len(seen) > _MANY and seen[-1] <= _MOST_CLASSES and len(seen) >= _NEARLY_ALL * (seen[-1] + 1)
    return seen[-1] + 1 if dense else None


def _is_range(numbers: list[int]) -> bool:
    return numbers == list(range(len(numbers)))


def _named_all(named: ClassFile | None, numbers: list[int]) -> bool:
    """Return whether a file names the class of every number."""
    if named is None or not numbers:
        return False
    return set(numbers) <= named.by_value.keys() or numbers[-1] < len(named.in_order)


def _names(values: tuple[int, ...], named: ClassFile | None) -> tuple[tuple[str, ...], list[str]]:
    """Return a name for each value, and a note about their source."""
    made_up = (_BACKGROUND, *(f"class_{index}" for index in range(1, len(values))))
    if named is None or named.by_color:
        return made_up, []
    told = [f"the names are those of {named.path.name}"]
    if named.by_value and set(values) <= named.by_value.keys():
        return tuple(named.by_value[value] for value in values), told
    names = named.names
    if (set(values) & named.by_value.keys()) - {0}:
        others = _listed(sorted(set(values) - named.by_value.keys()))
        return made_up, [f"{named.path.name} names no class of the value {others}, which the masks hold: name them"]
    if len(names) == len(values):
        return names, told
    if len(names) == len(values) - 1 and not any(_BACKGROUND in name.lower() for name in names):
        return (_BACKGROUND, *names), [f"the names are those of {named.path.name}, after a background"]
    return made_up, [f"{named.path.name} names {len(names)} classes, but the masks hold {len(values)}: name them"]


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:5])) + (", ..." if len(numbers) > 5 else "")


def _of_cityscapes(seen: set[int], ending: str) -> FoundClasses | None:
    """Return the classes of Cityscapes' own masks: all 19, or those that occur in a part of the data set."""
    kind = next((name for name, end in _CITYSCAPES.items() if ending.lower().endswith(end)), None)
    if kind is None:
        return None
    known = LABEL_MAPS[kind]
    if not seen <= {*known.values, *known.ignore}:
        return None
    held = [index for index, value in enumerate(known.values) if value in seen]
    if not held or len(held) > len(known.values) // 2:
        return FoundClasses(kind)
    values = tuple(known.values[index] for index in held)
    note = f"of Cityscapes' 19 classes ({kind}), the masks hold these"
    names = tuple(known.classes[index] for index in held)
    return FoundClasses(names, values=() if _is_range(list(values)) else values, ignore=known.ignore, notes=(note,))


_CITYSCAPES = {"cityscapes-train-ids": "labeltrainids", "cityscapes-label-ids": "labelids"}


def _of_lossy(found: MaskSurvey, named: ClassFile | None) -> FoundClasses:
    """Propose two classes if lossy files were black and white; nothing else can be guessed."""
    if not levels_were_two(found.lossy_levels):
        return FoundClasses()
    names, said = _names((0, 255), named)
    return FoundClasses(names, values=(0, 255), notes=tuple(said))


def _palette_note(found: MaskSurvey) -> list[str]:
    colors = {
        index: color for index, counted in sorted(found.indices.items()) for color in counted if color is not None
    }
    shown = ", ".join(f"{index} {color}" for index, color in list(colors.items())[:8])
    more = ", ..." if len(colors) > 8 else ""
    return [f"the masks' own palette shows {shown}{more}"] if colors else []
