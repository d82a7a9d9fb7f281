"""Reads an image with its mask, and checks them against each other and against the classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segbench.data.base import IGNORE_INDEX, LabelArray, Sample
from segbench.data.images import read_image
from segbench.data.masks import LabelDecoder
from segbench.errors import DataError


def read_pair(name: str, image: Path, label: Path, *, num_classes: int, decoder: LabelDecoder) -> Sample:
    """Read an image with its label, checked against each other and the classes.

    Raises:
        DataError: A file cannot be read, sizes differ or a label is out of range; names the file.
    """
    sample = Sample(name, read_image(image), decoder(label))
    if sample.image.shape[:2] != sample.label.shape:
        (height, width), (tall, wide) = sample.image.shape[:2], sample.label.shape
        raise DataError(f"{label}: is {tall}x{wide} pixels (height x width), but its image {image} {height}x{width}")
    check_labels(sample.label, num_classes=num_classes, source=str(label))
    return sample


def check_labels(label: LabelArray, *, num_classes: int, source: str) -> None:
    """Refuse labels that are neither a class nor ``IGNORE_INDEX``.

    Raises:
        DataError: Names the source and the values.
    """
    used: NDArray[np.intp] = np.flatnonzero(np.bincount(label.ravel(), minlength=256))
    strange = [int(value) for value in used if num_classes <= value != IGNORE_INDEX]
    if strange:
        values = ", ".join(map(str, strange))
        raise DataError(
            f"{source}: holds label {values}, but there are {num_classes} classes (0 to {num_classes - 1}, "
            f"{IGNORE_INDEX} is ignored); name more classes, or say which label is void"
        )
