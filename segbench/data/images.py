"""Reads the pictures that networks see."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from segbench.data.base import ImageArray
from segbench.data.decoding import decode
from segbench.errors import DataError


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
