"""Decodes image and label files of any common kind, and says which file is at fault when it cannot."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segbench.data.base import IGNORE_INDEX, Color, ImageArray, LabelArray, Sample
from segbench.errors import DataError

_DECODE_ERRORS = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)
"""What Pillow raises for broken files, by format."""

LabelDecoder = Callable[[Path], LabelArray]


def decode(path: Path) -> Image.Image:
    """Open and fully decode an image file.

    Raises:
        DataError: The file is missing, truncated or no image; names it.
    """
    try:
        with Image.open(path) as image:
            image.load()
            return image
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file") from None
    except _DECODE_ERRORS as error:
        raise DataError(f"{path}: cannot be read as an image ({error}); is it complete?") from None


def read_image(path: Path) -> ImageArray:
    """Read an image as (H, W, 3) uint8 RGB.

    Grey is repeated, 16-bit grey keeps its high byte, palettes and CMYK are converted, alpha is dropped.

    Raises:
        DataError: The file cannot be read, or holds floating-point numbers.
    """
    image = decode(path)
    if image.mode == "F":
        raise DataError(f"{path}: holds floating-point pixels; save it with 8 bits a channel")
    if image.mode.startswith("I"):
        grey = (np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode in ("P", "PA", "LA"):
        image = image.convert("RGBA")
    return np.array(image.convert("RGB"), dtype=np.uint8)


def read_index_label(path: Path) -> LabelArray:
    """Read a label whose pixels are class indices: a palette PNG, or a grey one of 1, 8 or 16 bits.

    Returns:
        (H, W) uint8, as stored.

    Raises:
        DataError: The file cannot be read, is a colour image, or holds numbers above 255.
    """
    image = decode(path)
    if image.mode in ("L", "P", "1"):
        return np.array(image, dtype=np.uint8)
    if image.mode in ("LA", "PA"):
        return np.array(image)[:, :, 0].astype(np.uint8)
    if not image.mode.startswith("I"):
        raise DataError(f"{path}: is a colour image ({image.mode}), not class indices; give the data set's palette")
    indices = np.asarray(image)
    if indices.size and (indices.min() < 0 or indices.max() > 255):
        raise DataError(f"{path}: holds label {int(indices.max())}; labels must fit into 0 to 255")
    return indices.astype(np.uint8)


class IndexLabels:
    """Decodes index labels and renames some of them.

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


class ColorLabels:
    """Decodes labels drawn in the colours of a palette; index files are passed on to ``indices``.

    Args:
        palette: One colour for each class.
        ignored: The colour of pixels that count nowhere, if any.
        indices: Decodes files that hold indices instead of colours.
    """

    def __init__(self, palette: tuple[Color, ...], *, ignored: Color | None, indices: LabelDecoder) -> None:
        codes = {_code(color): label for label, color in enumerate(palette)}
        if ignored is not None:
            codes.setdefault(_code(ignored), IGNORE_INDEX)
        self.codes = np.array(sorted(codes), dtype=np.int32)
        self.labels = np.array([codes[code] for code in sorted(codes)], dtype=np.uint8)
        self.indices = indices

    def __call__(self, path: Path) -> LabelArray:
        """Return (H, W) uint8.

        Raises:
            DataError: A colour is not in the palette; names the file and the colours.
        """
        image = decode(path)
        if image.mode not in ("RGB", "RGBA", "RGBX"):
            return self.indices(path)
        codes = np.array(image.convert("RGB")).astype(np.int32) @ np.array([65536, 256, 1], dtype=np.int32)
        places = np.searchsorted(self.codes, codes).clip(0, len(self.codes) - 1)
        strange = np.unique(codes[self.codes[places] != codes])
        if strange.size:
            colors = ", ".join(str((int(code) >> 16, int(code) >> 8 & 255, int(code) & 255)) for code in strange[:5])
            raise DataError(f"{path}: {strange.size} colours are not in the palette: {colors}")
        labels: LabelArray = self.labels[places]
        return labels


def read_pair(name: str, image: Path, label: Path, *, num_classes: int, decoder: LabelDecoder) -> Sample:
    """Read an image with its label, checked against each other and the classes.

    Raises:
        DataError: A file cannot be read, sizes differ or a label is out of range; names the file.
    """
    sample = Sample(name, read_image(image), decoder(label))
    if sample.image.shape[:2] != sample.label.shape:
        (height, width), (tall, wide) = sample.image.shape[:2], sample.label.shape
        raise DataError(f"{label}: is {tall}x{wide} pixels (height x width), but its image {image} {height}x{width}")
    check_labels(sample.label, num_classes=num_classes, source=str(label))
    return sample


def check_labels(label: LabelArray, *, num_classes: int, source: str) -> None:
    """Refuse labels that are neither a class nor ``IGNORE_INDEX``.

    Raises:
        DataError: Names the source and the values.
    """
    used: NDArray[np.intp] = np.flatnonzero(np.bincount(label.ravel(), minlength=256))
    strange = [int(value) for value in used if num_classes <= value != IGNORE_INDEX]
    if strange:
        values = ", ".join(map(str, strange))
        raise DataError(
            f"{source}: holds label {values}, but there are {num_classes} classes (0 to {num_classes - 1}, "
            f"{IGNORE_INDEX} is ignored); name more classes, or say which label is void"
        )


def _code(color: Color) -> int:
    return color[0] << 16 | color[1] << 8 | color[2]
