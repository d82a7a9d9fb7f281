"""How many pixels an image may have: a small file can expand to more than the memory holds."""

from __future__ import annotations

import math
import os
import warnings
from pathlib import Path

from PIL import Image

from segbench.errors import DataError, UsageError

MEGAPIXELS = 500.0
"""Largest image by default; as 8-bit RGB it takes 1.5 GB."""
VARIABLE = "SEGBENCH_MAX_MEGAPIXELS"
"""Environment variable that raises the limit."""
_UNLIKELY_MEGAPIXELS = 1e9


def _megapixels() -> float:
    """Return the limit; NaN if the environment variable is no positive number."""
    try:
        given = float(os.environ.get(VARIABLE) or MEGAPIXELS)
    except ValueError:
        return math.nan
    return given if 0 < given < _UNLIKELY_MEGAPIXELS else math.nan


def check_pixels(path: Path, width: int, height: int) -> None:
    """Refuse an image that is too large, before it is decoded.

    Raises:
        DataError: It has more pixels than the limit.
        UsageError: The environment variable of the limit is no positive number.
    """
    if width * height > most_pixels():
        raise too_large(path, f"{width}x{height} pixels")


def most_pixels() -> float:
    """Return how many pixels an image may have.

    Raises:
        UsageError: The environment variable is no positive number.
    """
    megapixels = _megapixels()
    if math.isnan(megapixels):
        raise UsageError(f"{VARIABLE}={os.environ[VARIABLE]}: expected a number of megapixels, such as 1000")
    return megapixels * 1e6


def too_large(path: Path, size: str) -> DataError:
    """Return the error about an image above the limit."""
    return DataError(
        f"{path}: holds {size}, above the limit of {most_pixels() / 1e6:g} megapixels; {VARIABLE} raises the limit, if "
        "the memory is large enough"
    )


def _limit_pillow() -> None:
    """Let Pillow refuse the same images in all places: it warns above its limit and refuses above twice its limit."""
    megapixels = _megapixels()
    Image.MAX_IMAGE_PIXELS = int((MEGAPIXELS if math.isnan(megapixels) else megapixels) * 1e6 / 2)
    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


_limit_pillow()
