"""Finds images and masks whose storage suggests that they may be read wrongly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TypeVar

from segbench.data.base import Remark
from segbench.data.decoding.decoding import is_turned, reading_page
from segbench.data.decoding.fourth_band import has_opacity, opacity_levels
from segbench.data.decoding.images import ImageReader
from segbench.data.files.pair import Pair
from segbench.data.masks.invented import look_invented
from segbench.data.masks.label_table import UNKNOWN, VOID, LabelTable
from segbench.data.masks.masks import ReadMask, read_mask
from segbench.data.masks.stored import is_lossy, used_numbers
from segbench.errors import DataError

_Item = TypeVar("_Item")

_LOOKED_AT = 20
"""Number of files of a kind that are decoded, spread over all files."""
_ADVICE = (
    "so many values beside those of the classes look like smooth edges, or like a lossy format's before the file was "
    "saved anew: set each pixel to the nearest class value (with two classes, a threshold)"
)


def remarks_on_images(pairs: Sequence[Pair], reader: ImageReader) -> Iterator[Remark]:
    """Yield remarks about images and masks with an EXIF rotation, and images with a band that is not read.

    Args:
        pairs: The files.
        reader: Reads the images.
    """
    files = list(dict.fromkeys(pair.image for pair in pairs))
    if turned := sum(map(is_turned, files)):
        are = "1 image was" if turned == 1 else f"{turned:,} images were"
        yield Remark("turned", f"{are} turned as EXIF says; their masks have to be drawn on what viewers show")
    yield from _remarks_on_turned_masks(pairs)
    yield from _remarks_on_shared_masks(pairs)
    if reader.channels is None:
        for file in _some(file for file in files if has_opacity(file)):
            if levels := opacity_levels(file):
                yield Remark(
                    "opacity",
                    f"{file.name}: its opacity (the fourth band) has {levels} levels, so that it may be a band like "
                    "others, such as infrared, and is not read; dataset.channels: 4 reads it",
                )
                return


def _remarks_on_turned_masks(pairs: Sequence[Pair]) -> Iterator[Remark]:
    """Yield a remark about masks that EXIF rotates, and whether their images are rotated, too."""
    turned = [pair for pair in pairs if is_turned(pair.label)]
    alone = sum(not is_turned(pair.image) for pair in turned)
    if turned:
        are = "1 mask was" if len(turned) == 1 else f"{len(turned):,} masks were"
        images = f"the images of {alone:,} were not: look whether they fit" if alone else "as their images were"
        yield Remark("turned-mask", f"{are} turned as EXIF says; {images}")


def _remarks_on_shared_masks(pairs: Sequence[Pair]) -> Iterator[Remark]:
    """Yield a remark about masks that belong to several images, as a slip in a list makes them."""
    images: dict[Path, dict[Path, None]] = {}
    for pair in pairs:
        images.setdefault(pair.label.resolve(), {})[pair.image] = None
    shared = {label: list(files) for label, files in images.items() if len(files) > 1}
    if shared:
        label, (first, second, *_) = next(iter(shared.items()))
        are = "1 mask is" if len(shared) == 1 else f"{len(shared):,} masks are"
        text = f"{are} the mask of several images ({label.name} of {first.name} and {second.name}): look whether it is"
        yield Remark("shared-mask", text)


def remarks_on_masks(pairs: Sequence[Pair], table: LabelTable) -> Iterator[Remark]:
    """Yield remarks about void pixels with unintended values, from lossy formats or smooth edges.

    Args:
        pairs: The files.
        table: The meanings of the masks' numbers and colours.
    """
    if VOID not in (table.other_number, table.other_color):
        return
    strict = replace(table, other_number=UNKNOWN, other_color=UNKNOWN)
    for judged, are_lossy in ((_of_lossy, True), (_of_exact, False)):
        files = _some(pair for pair in pairs if is_lossy(pair.label) is are_lossy)
        masks = (mask for pair in files if (mask := _read(pair, strict)) is not None)
        yield from islice((remark for mask in masks if (remark := judged(mask)) is not None), 1)


def _of_lossy(mask: ReadMask) -> Remark | None:
    """Return a remark about a lossy mask with values of no class read as void."""
    if not (mask.labels == UNKNOWN).any():
        return None
    return Remark("lossy", f"{_void_as_others(mask)}{mask.stored.advice}")


def _of_exact(mask: ReadMask) -> Remark | None:
    """Return a remark about a lossless mask with many values between those of the classes read as void."""
    if mask.by_color or mask.stored.numbers is None:
        return None
    others = used_numbers(mask.stored.numbers[mask.labels == UNKNOWN]).tolist()
    if not look_invented(others, mask.table.class_numbers):
        return None
    return Remark("smooth-edges", f"{_void_as_others(mask)}; {_ADVICE}")


def _void_as_others(mask: ReadMask) -> str:
    share = float((mask.labels == UNKNOWN).mean())
    return f"{mask.stored.path.name}: {share:.1%} of its pixels are void as others"


def _read(pair: Pair, table: LabelTable) -> ReadMask | None:
    try:
        with reading_page(pair.page):
            return read_mask(pair.label, table)
    except DataError:
        return None  # the error is reported when its pixels are read


def _some(items: Iterable[_Item]) -> list[_Item]:
    found = list(items)
    return found[:: max(1, -(-len(found) // _LOOKED_AT))]
