"""Reads an image with its mask, and checks that sizes and classes match."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segbench.data.base import IGNORE_INDEX, ImageArray, ImageFormat, LabelArray, Sample
from segbench.data.decoding.decoding import is_turned, reading_page
from segbench.data.decoding.images import READ_RGB, ImageReader
from segbench.data.masks.masks import LabelDecoder
from segbench.errors import DataError


def read_pair(
    name: str,
    image: Path,
    label: Path,
    *,
    num_classes: int,
    decoder: LabelDecoder,
    reader: ImageReader = READ_RGB,
    page: int | None = None,
) -> Sample:
    """Read an image with its label and check that they match each other and the classes.

    Args:
        name: The sample's name.
        image: The image file.
        label: The mask file.
        num_classes: Number of classes.
        decoder: Reads the mask.
        reader: Reads the image.
        page: Index of the page of both files, from 0; None if they have one page.

    Raises:
        DataError: A file cannot be read, sizes differ or a label is out of range; names the file.
    """
    with reading_page(page):
        sample = Sample(name, reader(image, page=page), decoder(label))
    if sample.image.shape[:2] != sample.label.shape:
        raise _other_size(sample, image, label)
    check_labels(sample.label, num_classes=num_classes, source=str(label))
    return sample


def _other_size(sample: Sample, image: Path, label: Path) -> DataError:
    """Return the error about a mask of another size than its image; mentions an EXIF rotation."""
    (height, width), (tall, wide) = sample.image.shape[:2], sample.label.shape
    text = f"{label}: is {tall}x{wide} pixels (height x width), but its image {image} {height}x{width}"
    if (tall, wide) == (width, height) and is_turned(image):
        text += (
            ": the image's EXIF orientation turns it, as viewers show it, while the mask was drawn on the pixels as "
            "they are stored; turn the mask too, or remove the orientation from the image (exiftool -Orientation= FILE)"
        )
    return DataError(text)


def check_format(image: ImageArray, expected: ImageFormat, *, source: str) -> None:
    """Refuse an image whose channels or pixel type differ from its data set's.

    Raises:
        DataError: They differ; names the source and both formats.
    """
    found = ImageFormat(image.shape[2], image.dtype.name)
    if found != expected:
        raise DataError(
            f"{source}: holds {found}, but the data set's first image {expected}; all images that a network sees have "
            "to be alike: convert these, or keep them in a data set of their own"
        )


def check_labels(label: LabelArray, *, num_classes: int, source: str) -> None:
    """Refuse labels that are neither a class nor ``IGNORE_INDEX``.

    Raises:
        DataError: There are such labels; names the source and the values.
    """
    used: NDArray[np.intp] = np.flatnonzero(np.bincount(label.ravel(), minlength=256))
    strange = [int(value) for value in used if num_classes <= value != IGNORE_INDEX]
    if strange:
        values = ", ".join(map(str, strange))
        raise DataError(
            f"{source}: holds label {values}, but there are {num_classes} classes (0 to {num_classes - 1}, "
            f"{IGNORE_INDEX} is ignored); name more classes, or say which label is void"
        )
