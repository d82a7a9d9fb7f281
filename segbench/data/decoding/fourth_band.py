"""Detects images whose alpha channel may be a data band, such as infrared, which 8-bit RGB omits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from segbench.data.decoding.decoding import decode
from segbench.errors import DataError


def has_opacity(file: Path) -> bool:
    """Return whether a file's header declares three bands and an alpha channel; such TIFFs are refused elsewhere."""
    try:
        with Image.open(file) as image:
            return image.mode == "RGBA" and image.format != "TIFF"
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False


def opacity_levels(file: Path) -> int:
    """Return the number of levels of an image's alpha channel; 0 if it is constant or only 0 and 255."""
    try:
        image = decode(file, page=0)
    except DataError:
        return 0
    if image.mode != "RGBA":
        return 0
    levels = np.unique(np.asarray(image)[:, :, -1]).tolist()
    return len(levels) if len(levels) > 1 and not set(levels) <= {0, 255} else 0
