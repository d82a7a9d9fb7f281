"""Opens image files of any common kind, and says which file is at fault when it cannot."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from PIL import Image

from segbench.errors import DataError

_DECODE_ERRORS = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)
"""What Pillow raises for broken files, by format."""


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


def page_count(path: Path) -> int:
    """Return how many pictures an image file holds: the pages of a TIFF, the frames of an animation.

    Raises:
        DataError: The file cannot be read; names it.
    """
    try:
        with Image.open(path) as image:
            return int(getattr(image, "n_frames", 1))
    except _DECODE_ERRORS as error:
        raise DataError(f"{path}: cannot be read as an image ({error}); is it complete?") from None
