"""A few test images with label and prediction, as files that anything can show."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segbench.data.base import IGNORE_INDEX, Color, SegmentationDataset
from segbench.engine.evaluate import Picture

VOID_COLOR: Color = (224, 224, 192)
"""The colour of pixels that count nowhere, as in PASCAL VOC."""


def spread(count: int, total: int) -> tuple[int, ...]:
    """Return ``count`` positions spread evenly over ``total`` images."""
    count = min(count, total)
    return tuple((2 * i + 1) * total // (2 * count) for i in range(count))


def palette_image(classes: NDArray[np.uint8], palette: Iterable[Color]) -> Image.Image:
    """Return (H, W) class indices as a palette image; the indices stay readable as such."""
    colors = [component for color in palette for component in color][: 3 * IGNORE_INDEX]
    colors += [0] * (3 * IGNORE_INDEX - len(colors))
    image = Image.fromarray(classes)
    image.putpalette([*colors, *VOID_COLOR])
    return image


def save_pictures(folder: Path, pictures: Iterable[Picture], dataset: SegmentationDataset) -> None:
    """Write image, label and prediction of each picture into a folder, which is made when there is one."""
    for picture in pictures:
        folder.mkdir(exist_ok=True)
        sample = dataset.read(picture.index)
        stem = f"{picture.index:04d}-" + re.sub(r"[^\w.-]+", "-", picture.name).strip("-.")
        Image.fromarray(sample.image).save(folder / f"{stem}-image.png")
        palette_image(sample.label, dataset.info.palette).save(folder / f"{stem}-label.png")
        palette_image(picture.prediction, dataset.info.palette).save(folder / f"{stem}-prediction.png")
