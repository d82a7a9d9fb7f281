"""Reads masks as class indices: stored indices, numbers with a table, or colours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from segbench.data.base import LabelArray
from segbench.data.masks.invented import look_invented
from segbench.data.masks.label_table import UNKNOWN, VOID, Labels, LabelTable, Lookup, color_codes, color_of
from segbench.data.masks.near_colors import near_palette
from segbench.data.masks.opacity import refuse_opacity_alone
from segbench.data.masks.stored import NumberArray, StoredMask, read_stored, used_numbers
from segbench.data.masks.terms import KEYS
from segbench.errors import DataError

LabelDecoder = Callable[[Path], LabelArray]

_SHOWN = 5


def read_index_label(path: Path) -> LabelArray:
    """Read a label whose pixels are class indices: a palette or grey PNG of any depth.

    Returns:
        (H, W) uint8, as stored.

    Raises:
        DataError: The file cannot be read, is a colour image, or holds numbers below 0 or above 255.
    """
    stored = read_stored(path)
    if stored.numbers is None:
        raise DataError(f"{path}: is a colour image, not class indices; give the data set's palette{stored.advice}")
    numbers = stored.numbers
    if numbers.dtype != np.uint8 and numbers.size and (numbers.min() < 0 or numbers.max() > 255):
        wrong = int(numbers.min()) if numbers.min() < 0 else int(numbers.max())
        raise DataError(f"{path}: holds label {wrong}; labels must fit into 0 to 255")
    return np.array(numbers, dtype=np.uint8)


class IndexLabels:
    """Decodes index labels and replaces some of them.

    Args:
        renamed: Stored label -> label; such as ``{11: 255}`` where 11 means void.
    """

    def __init__(self, renamed: Mapping[int, int]) -> None:
        self.table = np.arange(256, dtype=np.uint8)
        for stored, label in renamed.items():
            self.table[stored] = label

    def __call__(self, path: Path) -> LabelArray:
        """Return (H, W) uint8."""
        return self.table[read_index_label(path)]


class TableLabels:
    """Decodes masks with a label table.

    Args:
        table: Meanings of numbers and colours; at most 255 classes.
    """

    def __init__(self, table: LabelTable) -> None:
        self.table = table

    def __call__(self, path: Path) -> LabelArray:
        """Return (H, W) uint8.

        Raises:
            DataError: The file cannot be read, or a number or colour is unknown; names the file and the values.
        """
        found = read_mask(path, self.table)
        if found.labels.size and found.labels.min() == UNKNOWN:
            raise DataError(f"{path}: {found.strange(found.labels == UNKNOWN)}")
        return found.labels.astype(np.uint8)


class ReadMask(NamedTuple):
    """A decoded mask.

    Attributes:
        labels: (H, W) int16, class indices, ``VOID`` or ``UNKNOWN``.
        stored: The stored mask.
        table: The meanings of its numbers and colours.
        by_color: Whether it was decoded by colour.
    """

    labels: Labels
    stored: StoredMask
    table: LabelTable
    by_color: bool

    def strange(self, where: NDArray[np.bool_]) -> str:
        """Describe the unknown numbers or colours at some pixels, and what to do."""
        if self.by_color:
            return _strange_colors(self.stored, where, self.table) + self.stored.advice
        numbers = used_numbers(_numbers(self.stored)[where]).tolist()
        if self.stored.lossy:
            return f"holds {_some(list(map(str, numbers)))}, which is no class{self.stored.advice}"
        return _strange_numbers(numbers, self.table)


def read_mask(path: Path, table: LabelTable) -> ReadMask:
    """Read a mask with a label table.

    With a palette, colour and palette images are decoded by colour, regardless of indices. Grey images are decoded by
    colour if numbers do not fit; they are refused if both fit. Without a palette, masks are decoded by number. If
    values are given, grey RGB images are decoded by number too.

    Raises:
        DataError: The file cannot be read, or it is ambiguous whether numbers or colours define the classes.
    """
    stored = read_stored(path)
    if stored.colors is not None:
        return _of_colors(stored, table)
    if table.colors is not None and stored.palette is not None:
        if stored.opacity is not None:
            used = used_numbers(_numbers(stored)).tolist()
            refuse_opacity_alone(stored.path, stored.palette, stored.opacity, used, palette=table.terms.palette)
        labels = _index_meanings(stored, table)[_numbers(stored)]
        return ReadMask(labels, stored, table, by_color=True)
    if table.colors is not None and not table.numbers_given:
        return _of_grey(stored, table)
    return ReadMask(_by_number(stored, table), stored, table, by_color=False)


def _of_colors(stored: StoredMask, table: LabelTable) -> ReadMask:
    assert stored.colors is not None
    if table.colors is not None:
        return ReadMask(table.of_colors(color_codes(stored.colors)), stored, table, by_color=True)
    grey = stored.colors[:, :, 0]
    if not table.numbers_given or not (stored.colors == grey[:, :, None]).all():
        palette, values = map(table.terms.quoted, (table.terms.palette, table.terms.values))
        raise DataError(
            f"{stored.path}: is a colour image (RGB), not class numbers; give {palette}, the colour of each class, or "
            f"{values} where it is grey{stored.advice}"
        )
    numbers = StoredMask(stored.path, numbers=grey, lossy=stored.lossy)
    return ReadMask(_by_number(numbers, table), numbers, table, by_color=False)


def _index_meanings(stored: StoredMask, table: LabelTable) -> Labels:
    """Return the meaning of each index of a palette image by its colour.

    Index 255 is void if the number 255 is ignored and it does not have the colour of a class. (PASCAL VOC's borders
    have their own colour.)
    """
    assert stored.palette is not None
    colors = color_codes(stored.palette)
    labels = np.full(max(256, len(colors)), UNKNOWN, dtype=np.int16)
    labels[: len(colors)] = np.where(_filled_up(stored), UNKNOWN, table.of_colors(colors))
    if table.numbers.get(255) == VOID and labels[255] == UNKNOWN:
        labels[255] = VOID
    return labels


def _filled_up(stored: StoredMask) -> NDArray[np.bool_]:
    """Return the mask of palette entries that are only padding: three or more equal ones in a row.

    The first of them counts as a colour unless a lower index has it. Colours that differ only in alpha are not padding.
    """
    assert stored.palette is not None
    codes = color_codes(stored.palette)
    filled = np.zeros(len(codes), dtype=np.bool_)
    for run in np.split(np.arange(len(codes)), np.flatnonzero(np.diff(codes)) + 1):
        if len(run) > 2 and not stored.transparent:
            filled[run] = True
            filled[run[0]] = codes[run[0]] in codes[: run[0]]
    return filled


class _Reading(NamedTuple):
    """One of the ways to read a file's numbers.

    Attributes:
        meanings: The meaning of each number in use; ``UNKNOWN`` for those that have none.
        others: Meaning of those: ``UNKNOWN``, or ``VOID``.
    """

    meanings: Labels
    others: int

    @property
    def possible(self) -> bool:
        """Whether every number means something."""
        return self.others == VOID or not (self.meanings == UNKNOWN).any()

    def explains(self, other: _Reading) -> bool:
        """Return whether it has a meaning for all numbers that another way has, and the same ones or for more."""
        own, those = self.meanings != UNKNOWN, other.meanings != UNKNOWN
        if not self.possible or (those & ~own).any():
            return False
        return bool((own & ~those).any()) or np.array_equal(self.meanings, other.meanings)


def _of_grey(stored: StoredMask, table: LabelTable) -> ReadMask:
    """Read a grey image with a given palette: its numbers may be class numbers or grey colours."""
    greys = _greys(table)
    numbers = {number: label for number, label in table.numbers.items() if label != VOID or number not in greys}
    used = used_numbers(_numbers(stored))
    as_numbers = _Reading(Lookup(numbers)(used), table.other_number)
    as_greys = _Reading(Lookup(greys)(used * stored.stretch), table.other_color)
    if not as_greys.possible or as_numbers.explains(as_greys):
        return ReadMask(Lookup(numbers, other=table.other_number)(_numbers(stored)), stored, table, by_color=False)
    if as_numbers.possible:
        palette, values = map(table.terms.quoted, (table.terms.palette, table.terms.values))
        raise DataError(
            f"{stored.path}: is grey, and it is not clear whether {', '.join(map(str, used[:_SHOWN]))} are class "
            f"numbers or the grey colours of {palette}; give {values}, the number of each class in grey files"
        )
    shown = _numbers(stored).astype(np.int32) * stored.stretch
    return ReadMask(Lookup(greys, other=table.other_color)(shown), stored, table, by_color=False)


def _greys(table: LabelTable) -> dict[int, int]:
    """Return the levels of the palette's grey colours."""
    return {color[0]: label for color, label in (table.colors or {}).items() if len(set(color)) == 1}


def _by_number(stored: StoredMask, table: LabelTable) -> Labels:
    """Read numbers; if values are given, those of 1, 2 or 4 bits may mean the displayed grey levels."""
    numbers = _numbers(stored)
    if not table.numbers_given or stored.stretch == 1:
        return table.of_numbers(numbers)
    used = used_numbers(numbers)
    plain = _Reading(Lookup(table.numbers)(used), table.other_number)
    shown = _Reading(Lookup(table.class_numbers)(used * stored.stretch), table.other_number)
    if not shown.possible or plain.explains(shown):
        return table.of_numbers(numbers)
    if plain.possible and not shown.explains(plain):
        raise DataError(
            f"{stored.path}: has few bits a pixel, so that it is not clear whether its {used[-1]} is the value "
            f"{used[-1]} or the grey {used[-1] * stored.stretch}; save the mask with 8 bits"
        )
    return table.of_numbers(numbers.astype(np.int32) * stored.stretch)


def _numbers(stored: StoredMask) -> NumberArray:
    assert stored.numbers is not None
    return stored.numbers


def _strange_colors(stored: StoredMask, where: NDArray[np.bool_], table: LabelTable) -> str:
    palette = table.terms.quoted(table.terms.palette)
    if stored.colors is not None:
        codes, counts = np.unique(color_codes(stored.colors[where]), return_counts=True)
        found = [color_of(int(code)) for code in codes[np.argsort(-counts, kind="stable")]]
        return (
            f"{len(found):,} colours ({counts.sum():,} pixels) are not in {palette}: {_some(list(map(str, found)))}"
            f"{'' if stored.lossy else near_palette(found, table.colors or {})}"
        )
    assert stored.palette is not None
    used = used_numbers(_numbers(stored)[where]).tolist()
    own = [color_of(int(code)) for code in color_codes(stored.palette)]
    shown = [f"{own[index]} at {index}" if index < len(own) else f"none at {index}" for index in used]
    near = near_palette([own[index] for index in used if index < len(own)], table.colors or {})
    return (
        f"{len(used)} colours of its own palette ({where.sum():,} pixels) are not in {palette}: {_some(shown)}"
        f"{near}; where the stored numbers are the classes, leave {palette} out"
    )


def _strange_numbers(numbers: Sequence[int], table: LabelTable) -> str:
    terms = table.terms
    shown = _some([str(number) for number in numbers])
    void = [str(number) for number in table.void_numbers]
    ignored = f"{_some(void)} {'is' if len(void) == 1 else 'are'} ignored" if void else "nothing is ignored"
    values, ignore = terms.quoted(terms.values), terms.quoted(terms.ignore)
    if table.numbers_given:
        others = terms.given(terms.ignore, "others")
        if look_invented(numbers, table.class_numbers):
            return (
                f"holds {shown}, which is the value of no class; so many values look like smooth edges, or like those "
                "that a lossy format (JPEG) invents: set each pixel to the nearest class value (with two classes, a "
                f"threshold), and save without loss; see {values} otherwise"
            )
        return f"holds {shown}, which is the value of no class; see {values} ({ignored}; {others} ignores all)"
    colors = f"; white and other greys of {terms.quoted(terms.palette)} are colours, and no void"
    more = "name more classes" if terms.classes == KEYS.classes else f"give more {terms.classes}"
    return (
        f"holds label {shown}, but there are {table.num_classes} classes (0 to {table.num_classes - 1}, {ignored}"
        f"{colors if _greys(table) else ''}); {more}, give {values}, or say with {ignore} which number is void"
    )


def _some(shown: Sequence[str]) -> str:
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return ", ".join(shown[:_SHOWN]) + more
