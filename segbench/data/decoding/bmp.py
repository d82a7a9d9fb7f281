"""Decodes BMP files with few grey colours, whose pixels Pillow takes for 1 or 8 bits whatever their header says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image, ImageFile, ImagePalette

_BITS = {"1": 1, "L": 8}
"""Bits of a pixel by the mode that Pillow gives to a BMP whose palette is grey."""
_RAW_MODES = {4: "P;4", 8: "P"}


def load_bmp(image: ImageFile.ImageFile, path: Path) -> Image.Image:
    """Decode the pixels of an opened BMP.

    Pillow drops a palette of black and white, or of the greys 0, 1, ..., and then expects pixels of 1 or 8 bits. Files
    of 8 bits with two colours and files of 4 bits are read by their palette here; the result has the same mode.

    Raises:
        OSError: It is truncated.
    """
    mode = image.mode
    bits = _bits_of(path)
    if bits not in _RAW_MODES or bits == _BITS.get(mode, bits):
        image.load()
        return image
    greys = (0, 255) if mode == "1" else range(16)
    tile: Any = image.tile[0]
    image.tile = [tile._replace(args=(_RAW_MODES[bits], *tile.args[1:]))]
    image._mode, image.palette = "P", ImagePalette.raw("RGB", bytes(grey for grey in greys for _ in range(3)))
    image.load()
    read = image.convert(mode)
    read.format = image.format
    return read


def _bits_of(path: Path) -> int:
    """Return the number of bits of a pixel, as the header says."""
    with path.open("rb") as file:
        head = file.read(30)
    at = 24 if int.from_bytes(head[14:18], "little") == 12 else 28
    return int.from_bytes(head[at : at + 2], "little")
