"""Reads the stored content of a mask file: numbers (perhaps with a palette) or colours.

Pillow stretches grey images of 2 or 4 bits, and PGM files with a small range, to 0..255, so a stored 3 becomes 255.
This module undoes that.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from segbench.data.decoding.decoding import SeveralPagesError, chosen_page, decode, seek_chosen_page
from segbench.data.decoding.tiff import is_tiff, read_tiff, tiff_facts
from segbench.data.masks.opacity import refuse_opacity, refuse_second_band
from segbench.data.masks.tiff_numbers import is_bool_of_tifffile, read_tiff_numbers, whole_numbers
from segbench.errors import DataError

NumberArray = NDArray[Any]

_SAMPLE_FORMAT = 339
"""TIFF tag for signed numbers."""
_SIGNED = 2
_NUMPY = b"\x93NUMPY"
_WITH_OPACITY = ("RGBA", "LA", "PA")
"""Pillow's modes whose last channel is alpha."""
_LOSSY = {"JPEG", "MPO", "WEBP", "JPEG2000", "AVIF"}
"""Pillow's names of formats that are or may be lossy."""
_COMPRESSION = 259
_LOSSY_COMPRESSIONS = frozenset(
    (
        *(6, 7, 33007, 34892),  # JPEG
        *(33003, 33004, 33005, 34712),  # JPEG 2000
        *(22610, 34934),  # JPEG XR
        *(50002, 52546),  # JPEG XL
        50001,  # WebP
    )
)
"""Values of TIFF's tag Compression of the same kinds; LERC keeps exact values unless it is told otherwise."""


@dataclass(frozen=True, eq=False)
class StoredMask:
    """The content of a mask file.

    Attributes:
        path: The file.
        numbers: (H, W) integers; the indices of a palette image. None for a colour image.
        colors: (H, W, 3) uint8 of a colour image, else None.
        palette: (N, 3) uint8, the colours of the indices 0, 1, ...; None without a palette, or if it is a grey ramp.
        transparent: Whether the palette has alpha values, so that colours may differ only in alpha.
        opacity: (256,) uint8, the alpha value of each index; None if the palette has none.
        stretch: Factor from a number to its displayed 8-bit grey: 255 for 1 bit, 85 for 2, 17 for 4.
        lossy: Whether the format loses exact values, as JPEG does.
    """

    path: Path
    numbers: NumberArray | None = None
    colors: NDArray[np.uint8] | None = None
    palette: NDArray[np.uint8] | None = None
    transparent: bool = False
    opacity: NDArray[np.uint8] | None = None
    stretch: int = 1
    lossy: bool = False

    @property
    def advice(self) -> str:
        """Advice about invalid values, the end of a message: for lossy files, to use another format."""
        if not self.lossy:
            return ""
        return (
            "; the file is lossy (JPEG or alike), which invents values around borders: export the masks as PNG, or set "
            "each pixel to the nearest class value (with two classes, a threshold) and save as PNG"
        )


def read_stored(path: Path) -> StoredMask:
    """Read a mask file.

    Raises:
        DataError: The file cannot be read, holds neither integers nor colours, or its alpha channel may be the mask.
    """
    image = _decoded(path)
    if image is None:
        return StoredMask(path, numbers=read_tiff_numbers(path), lossy=is_lossy(path))
    mode = _raw_mode(path)
    return _of_white_as_0(path) if "I" in mode.packing else _of_image(path, image, mode)


def _of_white_as_0(path: Path) -> StoredMask:
    if is_bool_of_tifffile(path):
        return StoredMask(path, numbers=read_tiff_numbers(path), stretch=255)
    raise DataError(
        f"{path}: stores white as 0, so that its numbers are not what it shows; save the mask as a grey PNG"
    )


def _of_image(path: Path, image: Image.Image, mode: _RawMode) -> StoredMask:
    lossy = is_lossy(path) if image.format == "TIFF" else image.format in _LOSSY
    if image.mode in _WITH_OPACITY:
        _refuse_deep(path, mode.name)
        refuse_opacity(path, np.asarray(image))
    if mode.name == "LX":  # a TIFF's unmarked second band, which Pillow drops
        refuse_second_band(path, read_tiff(path, page=chosen_page()))
    if mode.name.startswith("RGBX"):
        raise DataError(
            f"{path}: has {len(mode.name)} bands, of which a colour image holds three; save the band of the classes as "
            "a grey PNG, or the colours as RGB"
        )
    if image.mode in ("RGB", "RGBA"):
        _refuse_deep(path, mode.name)
        return StoredMask(path, colors=np.asarray(image.convert("RGB")), lossy=lossy)
    if image.mode in ("P", "PA"):
        indices = np.asarray(image) if image.mode == "P" else np.asarray(image)[:, :, 0]
        transparent = image.mode == "PA" or "transparency" in image.info
        opacity = _opacity_of(image.info.get("transparency"))
        return StoredMask(path, numbers=indices, palette=palette_of(image), transparent=transparent, opacity=opacity)
    if image.mode in ("L", "LA", "1"):
        _refuse_deep(path, mode.name)
        grey = np.asarray(image)[:, :, 0] if image.mode == "LA" else np.asarray(image).astype(np.uint8, copy=False)
        numbers, stretch = _unstretched(grey, mode)
        return StoredMask(path, numbers=_signed(image, numbers), stretch=stretch, lossy=lossy)
    if image.mode == "F":
        return StoredMask(path, numbers=whole_numbers(path, np.asarray(image)))
    if image.mode.startswith("I"):
        numbers, _ = _unstretched(np.asarray(image), mode)
        return StoredMask(path, numbers=numbers.astype(numbers.dtype.newbyteorder("="), copy=False))
    raise DataError(f"{path}: is a colour image ({image.mode}), which no mask is; save it as a grey or RGB PNG")


def is_lossy(path: Path) -> bool:
    """Return whether a file's format is or may be lossy, by its header; False if it cannot be read."""
    try:
        with Image.open(path) as image:
            if isinstance(image, TiffImagePlugin.TiffImageFile):
                seek_chosen_page(image, path)
                return image.tag_v2.get(_COMPRESSION) in _LOSSY_COMPRESSIONS
            return image.format in _LOSSY
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        pass
    try:
        return is_tiff(path) and tiff_facts(path).compression_number in _LOSSY_COMPRESSIONS
    except DataError:
        return False


@dataclass(frozen=True)
class _RawMode:
    """Pillow's raw mode of a file's pixels, and the largest number of a PGM."""

    name: str = ""
    maximum: int | None = None

    @property
    def packing(self) -> str:
        """The part after the channels: bits per number, R if reversed, I if black is 1."""
        return self.name.partition(";")[2]


def _raw_mode(path: Path) -> _RawMode:
    """Return the raw mode, which Pillow discards after decoding."""
    with Image.open(path) as image:
        seek_chosen_page(image, path)
        arguments = image.tile[0][3] if image.tile else ""
    if isinstance(arguments, str):
        return _RawMode(arguments)
    if not isinstance(arguments, tuple) or not arguments or not isinstance(arguments[0], str):
        return _RawMode()
    of_pgm = image.format == "PPM" and len(arguments) > 1
    return _RawMode(arguments[0], arguments[1] if of_pgm else None)


def _decoded(path: Path) -> Image.Image | None:
    """Return a decoded image; None for a TIFF that Pillow cannot read."""
    try:
        return decode(path)
    except SeveralPagesError:
        raise
    except DataError as error:
        if is_tiff(path):
            return None
        reason = _known_kind(path)
        raise (DataError(f"{path}: {reason}") if reason else error) from None


def _known_kind(path: Path) -> str | None:
    """Return why a file that Pillow cannot read is no mask, if known."""
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError:
        return None
    if head.startswith(_NUMPY):
        return (
            "is a NumPy array, not an image; save class numbers as PNG (of probabilities, the argmax over the classes)"
        )
    return None


def _refuse_deep(path: Path, raw_mode: str) -> None:
    """Refuse files with 16 bits per channel of which Pillow keeps only the high byte."""
    if ";16" in raw_mode:
        raise DataError(
            f"{path}: has 16 bits in each of its {len(raw_mode.partition(';')[0])} bands, of which 8 would be lost; "
            "save the mask as a grey PNG without alpha, or as RGB with 8 bits"
        )


def palette_of(image: Image.Image) -> NDArray[np.uint8] | None:
    """Return the (N, 3) colours of a palette image; None for other images and grey ramps."""
    if image.mode not in ("P", "PA"):
        return None
    colors = np.array(image.getpalette("RGB") or [], dtype=np.uint8).reshape(-1, 3)
    ramp = np.repeat(np.arange(len(colors))[:, None], 3, axis=1)
    return None if len(colors) != 1 and np.array_equal(colors, ramp) else colors


def _opacity_of(transparency: int | bytes | None) -> NDArray[np.uint8] | None:
    """Return the alpha value of each index of a palette image; None if all are opaque."""
    opacity = np.full(256, 255, dtype=np.uint8)
    if isinstance(transparency, bytes):
        opacity[: len(transparency)] = np.frombuffer(transparency, dtype=np.uint8)[:256]
    elif transparency is not None:
        opacity[transparency] = 0
    return None if (opacity == 255).all() else opacity


def _unstretched(grey: NumberArray, mode: _RawMode) -> tuple[NumberArray, int]:
    """Return the stored numbers and the factor by which Pillow multiplied them."""
    if grey.dtype == np.uint8 and mode.name.partition(";")[0] == "1":
        return (grey > 0).astype(np.uint8), 255
    for bits, stretch in (("2", 85), ("4", 17)):
        if mode.name.startswith("L;") and mode.packing.strip("R") == bits:
            return grey // stretch, stretch
    full = 255 if grey.dtype == np.uint8 else 65535
    if mode.maximum is not None and mode.maximum != full:
        return np.rint(grey.astype(np.float64) * mode.maximum / full).astype(grey.dtype), 1
    return grey, 1


def _signed(image: Image.Image, numbers: NumberArray) -> NumberArray:
    """Return signed 8-bit numbers of a TIFF with their sign."""
    signed = isinstance(image, TiffImagePlugin.TiffImageFile) and _first(image.tag_v2.get(_SAMPLE_FORMAT)) == _SIGNED
    return numbers.view(np.int8) if signed and numbers.flags.c_contiguous else numbers


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, tuple) and value else value


def used_numbers(numbers: NumberArray) -> NumberArray:
    """Return the distinct numbers in ascending order."""
    if numbers.dtype == np.uint8:
        return np.flatnonzero(np.bincount(numbers.ravel(), minlength=256))
    return np.unique(numbers)
