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
    """Whether void pixels are no more than thin borders.

    Args:
        pixels: All pixels of the masks.
        void: The void ones.
        thick: Those of them that no border explains.
    """
    return void <= MOST_VOID * pixels and thick <= MOST_VOID * void
