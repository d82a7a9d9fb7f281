"""Tells images whose opacity may be a band like others, such as infrared, which 8-bit RGB leaves out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from segbench.data.decoding.decoding import decode
from segbench.errors import DataError


def has_opacity(file: Path) -> bool:
    """Whether a file's header says that the image has three bands and an opacity; TIFFs of this kind are refused."""
    try:
        with Image.open(file) as image:
            return image.mode == "RGBA" and image.format != "TIFF"
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False


def opacity_levels(file: Path) -> int:
    """Return how many levels an image's opacity has; 0 where it is constant, or 0 and 255 say where the image is."""
    try:
        image = decode(file, page=0)
    except DataError:
        return 0
    if image.mode != "RGBA":
        return 0
    levels = np.unique(np.asarray(image)[:, :, -1]).tolist()
    return len(levels) if len(levels) > 1 and not set(levels) <= {0, 255} else 0
