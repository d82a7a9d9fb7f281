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


def enclosed_pixels(values: NDArray[np.generic], void: NDArray[np.bool_]) -> int:
    """Return how many void pixels have no more than one class around them, where borders have two.

    Looked at are the pixels up to ``BORDER_WIDTH`` away, in rows and in columns.

    Args:
        values: (H, W), what the pixels are.
        void: (H, W), where they are void.
    """
    import numpy as np
    from scipy.ndimage import maximum_filter, minimum_filter

    if not void.any() or void.all():
        return int(void.sum())
    lowest, highest = values[~void].min(), values[~void].max()
    size = 2 * BORDER_WIDTH + 1
    high = maximum_filter(np.where(void, lowest, values), size, mode="constant", cval=lowest)
    low = minimum_filter(np.where(void, highest, values), size, mode="constant", cval=highest)
    return int((void & (high <= low)).sum())


def between_classes(*, void: int, enclosed: int) -> bool:
    """Whether void pixels mostly lie between two classes, as borders do, and not within one, as thin objects do.

    Args:
        void: All void pixels.
        enclosed: Those that have no more than one class around them.
    """
    return enclosed <= MOST_VOID * void


def only_borders(*, pixels: int, void: int, thick: int) -> bool:
    """Return whether void pixels are only thin borders.

    Args:
        pixels: Number of pixels of the masks.
        void: Number of void pixels.
        thick: Number of void pixels outside thin borders.
    """
    return void <= MOST_VOID * pixels and thick <= MOST_VOID * void
