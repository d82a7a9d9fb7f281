"""Writes sample pictures: test images with label and prediction, in common file formats."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segbench.data.base import IGNORE_INDEX, Color, ImageArray, SegmentationDataset

if TYPE_CHECKING:
    from segbench.engine.evaluation.evaluate import Picture  # imports torch

VOID_COLOR: Color = (224, 224, 192)
"""Colour of void pixels, as in PASCAL VOC."""


def spread(count: int, total: int) -> tuple[int, ...]:
    """Return ``count`` indices spread evenly over ``total`` images."""
    count = min(count, total)
    return tuple((2 * i + 1) * total // (2 * count) for i in range(count))


def palette_image(classes: NDArray[np.uint8], palette: Iterable[Color]) -> Image.Image:
    """Return (H, W) class indices as a palette image whose pixel values are the indices."""
    colors = [component for color in palette for component in color][: 3 * IGNORE_INDEX]
    colors += [0] * (3 * IGNORE_INDEX - len(colors))
    image = Image.fromarray(classes)
    image.putpalette([*colors, *VOID_COLOR])
    return image


class Displayed(NamedTuple):
    """An image converted for display.

    Attributes:
        picture: 8-bit RGB or grey.
        how: Which bands it shows and how they were scaled; empty for an unchanged 8-bit RGB image.
    """

    picture: Image.Image
    how: str = ""


def displayed(image: ImageArray) -> Displayed:
    """Convert an (H, W, C) image for display: its first three bands, or the first if there are fewer.

    Values that are not 8-bit are stretched from the 2nd to the 98th percentile, the same for all bands.
    """
    channels = image.shape[2]
    if channels == 3 and image.dtype == np.uint8:
        return Displayed(Image.fromarray(image))
    shown = image[:, :, :3] if channels >= 3 else image[:, :, 0]
    bands = "channels 0, 1 and 2" if channels >= 3 else "channel 0"
    how = f"{bands} of {channels}" if channels > 1 else ""
    if image.dtype != np.uint8:
        low, high = np.percentile(shown, [2, 98])
        shown = ((shown.astype(np.float64) - low) / max(high - low, 1e-12)).clip(0, 1) * 255
        how = ", ".join([*([how] if how else []), f"stretched from {low:.4g} to {high:.4g}"])
    return Displayed(Image.fromarray(np.ascontiguousarray(shown).round().astype(np.uint8)), how)


def save_pictures(folder: Path, pictures: Iterable[Picture], dataset: SegmentationDataset) -> None:
    """Write image, label and prediction of each picture into a folder; creates it if there are pictures."""
    for picture in pictures:
        folder.mkdir(exist_ok=True)
        sample = dataset.read(picture.index)
        stem = f"{picture.index:04d}-" + re.sub(r"[^\w.-]+", "-", picture.name).strip("-.")
        displayed(sample.image).picture.save(folder / f"{stem}-image.png")
        palette_image(sample.label, dataset.info.palette).save(folder / f"{stem}-label.png")
        palette_image(picture.prediction, dataset.info.palette).save(folder / f"{stem}-prediction.png")
