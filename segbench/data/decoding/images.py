"""Reads input images as 8-bit RGB, or selected bands at full depth."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segbench.data.base import ImageArray
from segbench.data.decoding.decoding import decode, several_pages
from segbench.data.decoding.png import png_header, read_deep_png
from segbench.data.decoding.tiff import MissingCodecError, TiffFacts, is_tiff, read_tiff, tiff_facts
from segbench.errors import DataError

_NEGATIVE = "MINISWHITE"
"""TIFF's name of grey images that store white as 0."""
_LAB = ("CIELAB", "ICCLAB", "ITULAB")
_EXACT_IN_FLOAT32 = 2**24
"""Integers up to this one are exact in float32."""


@dataclass(frozen=True)
class ImageReader:
    """Reads image files with fixed options.

    Attributes:
        channels: Number of bands of the files, all of which are read; or the bands to read, from 0. None reads 8-bit
            RGB.
    """

    channels: int | tuple[int, ...] | None = None

    @property
    def count(self) -> int:
        """Number of channels of the images."""
        if self.channels is None:
            return 3
        return self.channels if isinstance(self.channels, int) else len(self.channels)

    def __call__(self, path: Path, *, page: int | None = None) -> ImageArray:
        """Read an image, turned as its EXIF orientation says.

        Args:
            path: The file.
            page: Index of the page, from 0. Without it, and with ``channels``, pages are bands.

        Returns:
            (H, W, C): uint8, uint16 or float32; without ``channels``, (H, W, 3) uint8.

        Raises:
            DataError: The file cannot be read, or not without loss; names it and the remedy.
        """
        if self.channels is None:
            return read_image(path, page=page)
        bands = read_bands(path, page=page)
        held = bands.shape[2]
        if isinstance(self.channels, int):
            if held == self.channels:
                return bands
        elif max(self.channels) < held:
            chosen: ImageArray = np.ascontiguousarray(bands[:, :, list(self.channels)])  # type: ignore[assignment]
            return chosen
        raise self._not_held(path, held, page)

    def _not_held(self, path: Path, held: int, page: int | None) -> DataError:
        asked = self.channels if isinstance(self.channels, int) else list(self.channels or ())
        return DataError(
            f"{path}: holds {_counted_bands(path, held, page)}, but dataset.channels is {asked}; give {held} for all "
            f"of them, or a list of those to read, which count from 0 to {held - 1}"
        )


READ_RGB = ImageReader()
"""Reads 8-bit RGB."""


def read_image(path: Path, *, page: int | None = None) -> ImageArray:
    """Read an image as (H, W, 3) uint8 RGB, turned as its EXIF orientation says.

    Grey is repeated, palettes and CMYK are converted, and alpha channels are dropped.

    Args:
        path: The file.
        page: Which of several pages, from 0.

    Raises:
        DataError: The file cannot be read, or holds more than 8-bit RGB: further bands, deeper pixels, several pages.
    """
    if is_tiff(path):
        return _rgb_of_tiff(path, page)
    _refuse_deep_netpbm(path)
    header = png_header(path)
    if header is not None and header.depth > 8:
        raise _too_deep(path, "16-bit", header.bands)
    image = decode(path, page=page)
    if image.mode[0] in "IF":
        raise _too_deep(path, "floating-point" if image.mode == "F" else "more than 8-bit", 1)
    return _rgb(image)


def read_bands(path: Path, *, page: int | None = None) -> ImageArray:
    """Read all bands of an image at full depth and apply its orientation.

    Palettes and CMYK become RGB (a TIFF's CMYK keeps four bands). An alpha channel is read as a band. Grey that
    stores white as 0 is inverted, as viewers do.

    Args:
        path: The file.
        page: Index of a TIFF's page, from 0; None reads single-band pages as the image's bands.

    Returns:
        (H, W, C): uint8 or uint16 as stored; other numbers as float32.

    Raises:
        DataError: The file cannot be read at full depth; names it, and what to do.
    """
    if is_tiff(path):
        facts = tiff_facts(path)
        _refuse_lab(path, facts)
        if page is None and facts.pages > 1 and facts.bands > 1:
            raise several_pages(path, facts.pages)
        if facts.photometric != "PALETTE" and facts.dtype != "bool":
            return _plain(_stored_bands(path, facts, page), path)
    _refuse_deep_netpbm(path)
    header = png_header(path)
    if header is not None and header.depth > 8 and header.bands > 1:
        return read_deep_png(path)
    return _plain(_bands_of(decode(path, page=page)), path)


def _stored_bands(path: Path, facts: TiffFacts, page: int | None) -> NDArray[Any]:
    """Return the bands of a TIFF as viewers show them, uses Pillow if tifffile lacks the compression."""
    try:
        bands = read_tiff(path, page=page)
        return _inverted(path, facts, bands) if facts.photometric == _NEGATIVE else bands
    except MissingCodecError as error:
        if facts.pages == 1 or page is not None:
            with suppress(DataError):
                bands = _bands_of(decode(path, page=page))
                if (bands.shape[2], bands.dtype.name) == (facts.bands, facts.dtype):
                    inverts = facts.photometric == _NEGATIVE and facts.bits > 8  # fewer bits Pillow inverts
                    return _inverted(path, facts, bands) if inverts else bands
        raise error


def _inverted(path: Path, facts: TiffFacts, bands: NDArray[Any]) -> NDArray[Any]:
    """Return the grey of a TIFF that stores white as 0; its opacity, if it has one, stays as it is.

    Raises:
        DataError: Its numbers have a sign or a fraction, so that none of them is black.
    """
    if bands.dtype.kind != "u":
        raise DataError(
            f"{path}: stores white as 0 in {bands.dtype} pixels, for which TIFF defines no black; save it with black "
            "as the smallest value (PhotometricInterpretation BlackIsZero)"
        )
    inverted: NDArray[Any] = bands.dtype.type(2**facts.bits - 1) - bands
    if facts.alpha:
        inverted[:, :, -1] = bands[:, :, -1]
    return inverted


def _refuse_lab(path: Path, facts: TiffFacts) -> None:
    if facts.photometric in _LAB:
        raise DataError(
            f"{path}: holds CIELAB colours ({facts.photometric}), which are not converted here; save it as RGB"
        )


def _bands_of(image: Image.Image) -> NDArray[Any]:
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA" if image.mode == "PA" or "transparency" in image.info else "RGB")
    elif image.mode == "1":
        image = image.convert("L")
    elif image.mode not in ("L", "LA", "RGB", "RGBA", "F") and image.mode[0] != "I":
        image = image.convert("RGB")
    array = np.asarray(image)
    if image.mode[0] == "I" and array.size and array.min() >= 0 and array.max() < 2**16:
        array = array.astype(np.uint16)
    return array if array.ndim == 3 else array[:, :, None]


def _plain(array: NDArray[Any], path: Path) -> ImageArray:
    """Return pixels as uint8, uint16 or float32, in this machine's byte order.

    Raises:
        DataError: They have another type, or values that float32 cannot hold exactly.
    """
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind == "u" and size <= 2:
        return array.astype(array.dtype.newbyteorder("="), copy=False)
    if kind not in "uif":
        raise DataError(f"{path}: holds pixels of the type {array.dtype}; save it as uint8, uint16 or float32")
    if kind in "ui" and size > 2 and array.size:
        largest = max(abs(int(array.min())), abs(int(array.max())))
        if largest > _EXACT_IN_FLOAT32:
            raise DataError(
                f"{path}: holds {array.dtype} pixels up to {largest}, which float32 rounds; scale it to uint16"
            )
    with np.errstate(over="ignore"):
        numbers = array.astype(np.float32)
    if kind == "f" and (strange := int(numbers.size - np.isfinite(numbers).sum())):
        raise DataError(
            f"{path}: {strange} of its {numbers.size} values are no finite numbers (NaN or infinite); fill them, for "
            "instance with the mean, and give the pixels a void label"
        )
    return numbers


def _rgb(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode in ("P", "PA", "LA"):
        image = image.convert("RGBA")
    return np.array(image.convert("RGB"), dtype=np.uint8)


def _rgb_of_tiff(path: Path, page: int | None) -> NDArray[np.uint8]:
    """Read a TIFF as 8-bit RGB; refuses further bands or bits, which Pillow would drop silently."""
    facts = tiff_facts(path)
    if page is None and facts.pages > 1:
        raise several_pages(path, facts.pages, bands=facts.bands == 1)
    _refuse_lab(path, facts)
    if facts.dtype not in ("uint8", "bool"):
        raise _too_deep(path, facts.dtype, facts.bands)
    colours = facts.bands - facts.alpha
    if colours not in (1, 3) and facts.photometric != "SEPARATED":
        raise _too_many(path, facts.bands)
    try:
        image = decode(path, page=page)
    except DataError:  # Pillow supports fewer compressions
        if facts.photometric not in ("MINISBLACK", "RGB", "YCBCR"):
            raise
        bands = read_tiff(path, page=page or 0)
        _refuse_colour_as_opacity(path, facts, bands)
        return bands[:, :, :3] if colours == 3 else np.repeat(bands[:, :, :1], 3, axis=2)
    if image.mode in ("LA", "RGBA"):
        _refuse_colour_as_opacity(path, facts, np.asarray(image))
    return _rgb(image)


def _refuse_colour_as_opacity(path: Path, facts: TiffFacts, bands: NDArray[np.uint8]) -> None:
    """Refuse a data band that is marked as an alpha channel; GDAL, tifffile and Pillow mark any fourth band so.

    A band with only 0 and 255 marks where an image is empty, and is dropped.
    """
    if facts.alpha and ((bands[:, :, -1] != 0) & (bands[:, :, -1] != 255)).any():
        raise _too_many(path, facts.bands)


def _too_many(path: Path, bands: int) -> DataError:
    first = "[0, 1, 2] for the first three" if bands > 2 else "[0] for the first"
    return DataError(
        f"{path}: holds {bands} bands, which RGB cannot hold; give dataset.channels: {bands} for all of them, or "
        f"dataset.channels: {first}"
    )


def _too_deep(path: Path, depth: str, bands: int) -> DataError:
    what = "its band" if bands == 1 else f"its {bands} bands"
    return DataError(
        f"{path}: holds {depth} pixels, which 8 bits cannot hold; give dataset.channels: {bands} to read {what} at "
        "full depth"
    )


def _refuse_deep_netpbm(path: Path) -> None:
    """Refuse PPM and PGM files that Pillow rescales: those with more than 8 bits, except grey ones up to 65535."""
    if path.suffix.lower() not in (".ppm", ".pgm", ".pnm"):
        return
    arguments = None
    with suppress(OSError, ValueError), Image.open(path) as image:  # ``decode`` reports the error
        arguments = image.tile[0][3] if image.tile else None
    if isinstance(arguments, tuple) and isinstance(arguments[-1], int) and arguments[-1] > 255:
        raise DataError(
            f"{path}: holds values up to {arguments[-1]}, which cannot be read from {path.suffix[1:].upper()} at full "
            "depth; save it as PNG or TIFF"
        )


def _counted_bands(path: Path, bands: int, page: int | None) -> str:
    counted = f"{bands} band{'s' * (bands != 1)}"
    pages = tiff_facts(path).pages if is_tiff(path) and page is None else 1
    return counted if pages == 1 else f"{pages} pages, taken as {counted} because dataset.pages does not say otherwise"
