"""Distinguishes thin void borders, common in many data sets, from void areas that could be a class."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BORDER_WIDTH = 6
"""Largest width of borders in pixels; those of PASCAL VOC are 5 wide."""
MOST_VOID = 0.2
"""Largest fraction of all pixels in borders, and largest fraction of void pixels in wider areas."""


def thick_pixels(void: NDArray[np.bool_]) -> int:
    """Return the number of void pixels outside thin borders: those surrounded by a square of void.

    The square is ``BORDER_WIDTH`` + 1 pixels wide. Outside the image counts as void.

    Args:
        void: (H, W) mask of void pixels.
    """
    import numpy as np
    from scipy.ndimage import minimum_filter

    if not void.any():
        return 0
    return int(minimum_filter(void.view(np.uint8), BORDER_WIDTH + 1, mode="constant", cval=1).sum())


def only_borders(*, pixels: int, void: int, thick: int) -> bool:
    """Return whether void pixels are only thin borders.

    Args:
        pixels: Number of pixels of the masks.
        void: Number of void pixels.
        thick: Number of void pixels outside thin borders.
    """
    return void <= MOST_VOID * pixels and thick <= MOST_VOID * void
