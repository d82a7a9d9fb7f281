"""Reads PNG details that Pillow lacks: bits per channel, and 16-bit colours at full depth."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segbench.data.decoding.decoding import orientation_of
from segbench.data.decoding.pixel_limit import check_pixels, too_large
from segbench.data.decoding.tiff import CODECS, oriented
from segbench.errors import DataError

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_BANDS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
"""Number of bands by colour type of a PNG's header."""


class PngHeader(NamedTuple):
    """The header of a PNG.

    Attributes:
        depth: Bits per channel.
        bands: Number of channels, including alpha; 3 for a palette.
    """

    depth: int
    bands: int


def png_header(path: Path) -> PngHeader | None:
    """Read the header of a PNG; None for other files."""
    try:
        with path.open("rb") as stream:
            head = stream.read(26)
    except OSError:
        return None
    is_png = len(head) == 26 and head.startswith(_SIGNATURE) and head[24] in (1, 2, 4, 8, 16)
    return PngHeader(head[24], _BANDS.get(head[25], 1)) if is_png else None


def read_deep_png(path: Path) -> NDArray[np.uint16]:
    """Read a 16-bit PNG with several bands, of which Pillow would keep only the high bytes.

    Returns:
        (H, W, C) with its EXIF orientation applied.

    Raises:
        DataError: The file cannot be read, or the package for it is missing; names it.
    """
    try:
        from imagecodecs import png_decode

        with Image.open(path) as image:
            check_pixels(path, *image.size)
            orientation = orientation_of(image)
        bands = png_decode(path.read_bytes())
    except ImportError:
        raise DataError(
            f"{path}: is a 16-bit colour PNG, which takes a further package: pip install '{CODECS}'; or save it as TIFF"
        ) from None
    except Image.DecompressionBombError:
        raise too_large(path, "more pixels") from None
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(f"{path}: cannot be read as a 16-bit PNG ({error}); is it complete?") from None
    turned: NDArray[np.uint16] = oriented(bands, orientation)
    return turned
