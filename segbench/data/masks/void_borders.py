"""Tells thin borders, which are void in many data sets, from pixels that could be a class."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BORDER_WIDTH = 6
"""Borders are at most so many pixels wide; those of PASCAL VOC are 5."""
MOST_VOID = 0.2
"""The largest share of the label pixels that borders fill, and of the ignored ones that may lie in wider places."""


def thick_pixels(void: NDArray[np.bool_]) -> int:
    """Return how many void pixels no border explains: those with nothing but void in a square around them.

    The square is ``BORDER_WIDTH`` + 1 pixels wide. Beyond the image's edge all counts as void.

    Args:
        void: (H, W), where the pixels are void.
    """
    import numpy as np
    from scipy.ndimage import minimum_filter

    if not void.any():
        return 0
    return int(minimum_filter(void.view(np.uint8), BORDER_WIDTH + 1, mode="constant", cval=1).sum())


def only_borders(*, pixels: int, void: int, thick: int) -> bool:
    """Whether void pixels are no more than thin borders.

    Args:
        pixels: All pixels of the masks.
        void: The void ones.
        thick: Those of them that no border explains.
    """
    return void <= MOST_VOID * pixels and thick <= MOST_VOID * void
