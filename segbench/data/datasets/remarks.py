"""Finds images and masks that can be read, but perhaps not as they are meant, by how they are stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from segbench.data.base import Remark
from segbench.data.decoding.decoding import is_turned, reading_page
from segbench.data.decoding.fourth_band import has_opacity, opacity_levels
from segbench.data.decoding.images import ImageReader
from segbench.data.files.pair import Pair
from segbench.data.masks.invented import look_invented
from segbench.data.masks.label_table import UNKNOWN, VOID, LabelTable
from segbench.data.masks.masks import ReadMask, read_mask
from segbench.data.masks.stored import NumberArray, is_lossy, used_numbers
from segbench.errors import DataError

_Item = TypeVar("_Item")

_LOOKED_AT = 20
"""Files of one kind that are decoded, spread over all of them."""


def remarks_on_images(pairs: Sequence[Pair], reader: ImageReader) -> Iterator[Remark]:
    """Yield which images are turned, and which hold a band that is not read.

    Args:
        pairs: The files.
        reader: Reads the images.
    """
    files = list(dict.fromkeys(pair.image for pair in pairs))
    if turned := sum(map(is_turned, files)):
        are = "1 image was" if turned == 1 else f"{turned:,} images were"
        yield Remark("turned", f"{are} turned as EXIF says; their masks have to be drawn on what viewers show")
    if reader.channels is None:
        for file in _some(file for file in files if has_opacity(file)):
            if levels := opacity_levels(file):
                yield Remark(
                    "opacity",
                    f"{file}: its opacity (the fourth band) has {levels} levels, so that it may be a band like others, "
                    "such as infrared, and is not read; dataset.channels: 4 reads it",
                )
                return


def remarks_on_masks(pairs: Sequence[Pair], table: LabelTable) -> Iterator[Remark]:
    """Yield whether void takes in values that nobody drew: those of a lossy format, or of smooth edges.

    Args:
        pairs: The files.
        table: What the masks' numbers and colours stand for.
    """
    if VOID not in (table.other_number, table.other_color):
        return
    strict = replace(table, other_number=UNKNOWN, other_color=UNKNOWN)
    for kind in (True, False):
        for pair in _some(pair for pair in pairs if is_lossy(pair.label) is kind):
            found = _read(pair, strict)
            share = 0.0 if found is None else float((found.labels == UNKNOWN).mean())
            if found is None or not share:
                continue
            if kind:
                yield Remark(
                    "lossy", f"{pair.label}: {share:.1%} of its pixels are void as others{found.stored.advice}"
                )
                break
            if not found.by_color and look_invented(
                used_numbers(_unknown_numbers(found)).tolist(), table.class_numbers
            ):
                yield Remark("smooth-edges", f"{pair.label}: {share:.1%} of its pixels are void as others; {_ADVICE}")
                break


_ADVICE = (
    "so many values beside those of the classes look like smooth edges, or like a lossy format's before the file was "
    "saved anew: set each pixel to the nearest class value (with two classes, a threshold)"
)


def _unknown_numbers(found: ReadMask) -> NumberArray:
    assert found.stored.numbers is not None
    numbers: NumberArray = found.stored.numbers[found.labels == UNKNOWN]
    return numbers


def _read(pair: Pair, table: LabelTable) -> ReadMask | None:
    try:
        with reading_page(pair.page):
            return read_mask(pair.label, table)
    except DataError:
        return None  # whoever reads it for its pixels tells


def _some(items: Iterable[_Item]) -> list[_Item]:
    found = list(items)
    return found[:: max(1, -(-len(found) // _LOOKED_AT))]
