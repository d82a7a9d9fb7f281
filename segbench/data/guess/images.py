"""Guesses how images are to be read: as 8-bit RGB, or all bands at full depth; and page by page, or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL import Image

from segbench.data.decoding.decoding import page_count
from segbench.data.decoding.fourth_band import has_opacity, opacity_levels
from segbench.data.decoding.images import READ_RGB, read_bands
from segbench.data.decoding.png import png_header
from segbench.data.decoding.tiff import is_tiff, tiff_facts
from segbench.data.files.pair import Pair
from segbench.errors import DataError

_LOOKED_AT = 20
_OPENED = 500
"""So many pairs are opened to count their pages; of more, some that are spread over all."""
_OPACITY_LAST = {2: (0,), 4: (0, 1, 2)}
"""Which of a PNG's bands are no opacity, by their number."""


@dataclass(frozen=True)
class FoundImages:
    """What some images hold.

    Attributes:
        channels: How many bands to read, or which; None for 8-bit RGB.
        smallest: The smallest height or width, in pixels.
        notes: What a person has to know, in sentences.
    """

    channels: int | tuple[int, ...] | None = None
    smallest: int | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Kind:
    """How one image is stored: its bands, those that are no opacity, and the type of its pixels."""

    bands: int
    read: int | tuple[int, ...]
    dtype: str

    def __str__(self) -> str:
        return f"{self.bands} {self.dtype} band{'s' * (self.bands != 1)}"


def guess_images(pairs: Sequence[Pair]) -> FoundImages:
    """Look at some images, spread over all pairs."""
    some = pairs[:: max(1, len(pairs) // _LOOKED_AT)]
    sizes = [size for pair in some if (size := _size(pair.image)) is not None]
    smallest = min(sizes, default=None)
    refused = {pair.image: str(error) for pair in some if (error := _why_not_rgb(pair)) is not None}
    if not refused:
        return FoundImages(smallest=smallest, notes=_fourth_band(some))
    kinds: dict[_Kind, Path] = {}
    for pair in some:
        try:
            kinds.setdefault(_kind(pair), pair.image)
        except DataError as error:
            return FoundImages(smallest=smallest, notes=(str(error),))
    if len(kinds) > 1:
        (one, first), (other, second) = list(kinds.items())[:2]
        told = (
            f"images differ: {first.name} holds {one}, {second.name} {other}; all images of a data set need the same "
            "bands and type, see dataset.channels"
        )
        return FoundImages(smallest=smallest, notes=(told,))
    (kind,) = kinds
    told = f"the images hold {kind}, which is more than 8-bit RGB: they are read at full depth (channels)"
    return FoundImages(kind.read, smallest, (told,))


def _fourth_band(pairs: Sequence[Pair]) -> tuple[str, ...]:
    """Return a note where the opacity of images that RGB can hold is more than where they are empty."""
    for pair in pairs:
        if has_opacity(pair.image) and (levels := opacity_levels(pair.image)):
            told = (
                f"{pair.image}: its opacity (the fourth band) has {levels} levels and is not read; where it is a band "
                "like others, such as infrared, give dataset.channels: 4"
            )
            return (told,)
    return ()


def _why_not_rgb(pair: Pair) -> DataError | None:
    try:
        READ_RGB(pair.image, page=pair.page)
    except DataError as error:
        return error
    return None


def _kind(pair: Pair) -> _Kind:
    """Return how an image is stored, from its header where its pixels need a package that is not there.

    Raises:
        DataError: It cannot be read, or its pages may be samples.
    """
    path, header = pair.image, png_header(pair.image)
    if pair.page is None and page_count(path) > 1 and page_count(pair.label) > 1:
        READ_RGB(path)  # says what to give
    try:
        image = read_bands(path, page=pair.page)
        bands, dtype = image.shape[2], image.dtype.name
    except DataError:
        if header is not None:
            bands, dtype = header.bands, f"uint{max(header.depth, 8)}"
        elif is_tiff(path) and ((facts := tiff_facts(path)).pages == 1 or pair.page is not None):
            bands, dtype = facts.bands, facts.dtype
        else:
            raise
    without_opacity = _OPACITY_LAST.get(bands) if header is not None else None
    return _Kind(bands, without_opacity or bands, dtype)


def _size(path: Path) -> int | None:
    try:
        with Image.open(path) as image:
            return int(min(image.size))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        pass
    try:
        height, width = read_bands(path).shape[:2]
    except DataError:
        return None
    return int(min(height, width))


def guess_pages(pairs: Sequence[Pair]) -> tuple[Literal["each"] | None, tuple[str, ...]]:
    """Return what ``dataset.pages`` should be, and what a person has to know of it.

    Args:
        pairs: The files.
    """
    counts = [(pair, count) for pair in pairs[:: max(1, -(-len(pairs) // _OPENED))] if (count := _page_counts(pair))]
    if all(masks == 1 for _, (_, masks) in counts):
        return None, ()  # several pages of an image alone are its bands, if anything
    for pair, (images, masks) in counts:
        if images != masks:
            told = (
                f"{pair.label}: holds {masks} pages, but its image {pair.image.name} {images}: each page of a mask "
                "needs one of the image; then give dataset.pages: each"
            )
            return None, (told,)
    return "each", ("files hold several pages, as many of the masks as of the images: every page is a sample (pages)",)


def _page_counts(pair: Pair) -> tuple[int, int] | None:
    try:
        return page_count(pair.image), page_count(pair.label)
    except DataError:
        return None
