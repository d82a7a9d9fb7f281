"""Draws annotated regions into one mask, and counts what it had to decide."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segbench.data.annotations.choices import Overlap
from segbench.data.base import IGNORE_INDEX, LabelArray

BoolMask = NDArray[np.bool_]
Size = tuple[int, int]
"""Height and width."""


@dataclass(frozen=True)
class Region:
    """One annotated region.

    Attributes:
        label: The name of its class.
        mask: Returns its (H, W) pixels for a height and width.
        is_void: Whether it counts nowhere, as COCO's crowds do; it lies below all others.
    """

    label: str
    mask: Callable[[Size], BoolMask]
    is_void: bool = False


@dataclass(frozen=True)
class AnnotatedImage:
    """An image with its regions.

    Attributes:
        name: Its path below the converted images, with its suffix.
        size: Height and width.
        source: The annotation file that describes it.
        regions: In the order of the file.
        file: The image file; None where the annotation file holds the image itself.
        content: Those bytes.
        is_turned: Whether its EXIF orientation turns it.
    """

    name: str
    size: Size
    source: Path
    regions: tuple[Region, ...] = ()
    file: Path | None = None
    content: bytes | None = field(default=None, repr=False)
    is_turned: bool = False


@dataclass(frozen=True)
class DrawnMask:
    """A mask, and what was decided in it.

    Attributes:
        labels: (H, W) uint8, class numbers or ``IGNORE_INDEX``.
        shared_pixels: Pixels that regions of several classes cover.
        void_pixels: Pixels of void regions that no other region covers.
    """

    labels: LabelArray
    shared_pixels: int
    void_pixels: int


def draw(image: AnnotatedImage, numbers: Mapping[str, int], *, rest: int, overlap: Overlap) -> DrawnMask:
    """Draw the regions of an image.

    Args:
        image: The image.
        numbers: The class number of each label; ``IGNORE_INDEX`` for void.
        rest: What pixels of no region are.
        overlap: What pixels of several classes are.
    """
    drawn = [(numbers[region.label], region.mask(image.size)) for region in image.regions if not region.is_void]
    if overlap is Overlap.SMALLER:
        drawn.sort(key=lambda one: -int(one[1].sum()))
    top = np.full(image.size, -1, dtype=np.int16)
    shared = np.zeros(image.size, dtype=np.bool_)
    for number, mask in drawn:
        shared |= mask & (top >= 0) & (top != number)
        top[mask] = number
    if overlap is Overlap.VOID:
        top[shared] = IGNORE_INDEX
    void = np.zeros(image.size, dtype=np.bool_)
    for region in image.regions:
        if region.is_void:
            void |= region.mask(image.size)
    void &= top < 0
    labels = np.where(top < 0, np.where(void, IGNORE_INDEX, rest), top).astype(np.uint8)
    return DrawnMask(labels, int(shared.sum()), int(void.sum()))
