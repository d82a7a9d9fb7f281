"""Corrupts samples: what comes of one depends on its name, the corruption and the severity alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray
from scipy import ndimage

from segbench.data.base import (
    IGNORE_INDEX,
    DerivedDataset,
    ImageArray,
    LabelArray,
    Sample,
    SegmentationDataset,
    hash_of,
)
from segbench.data.corruptions import COLOR_ONLY, NAMES, SEVERITIES, blur, digital, geometric, noise, weather
from segbench.data.corruptions.blur import sampled
from segbench.data.corruptions.geometric import Positions
from segbench.data.corruptions.noise import Pixels
from segbench.errors import DataError, did_you_mean

VERSION = 1
"""Goes into every fingerprint; another one is needed when a corruption changes."""

TOPS = {"uint8": 255.0, "uint16": 65535.0}
"""The highest values of the types of pixels that have one."""

_OF_PIXELS: dict[str, Callable[[Pixels, int, RandomState], Pixels]] = {
    name: function
    for name in NAMES
    for module in (noise, blur, weather, digital)
    if (function := vars(module).get(name)) is not None
}
_OF_PLACES: dict[str, Callable[[int, int, int, RandomState], Positions]] = {
    "elastic_transform": geometric.elastic_transform,
    "barrel_distortion": geometric.barrel_distortion,
}


def corrupt(sample: Sample, name: str, severity: int) -> Sample:
    """Return a corrupted sample, the same for everyone who asks.

    Args:
        sample: The image with its label.
        name: One of ``NAMES``.
        severity: 1 to 5.

    Returns:
        The image, (H, W, C) of the given type, and its label; geometric corruptions change both alike.

    Raises:
        DataError: There is no such corruption or severity, or it is not for such images.
    """
    check_corruption(name, severity)
    random = RandomState(np.random.MT19937(_seed(sample.name, name, severity)))
    if name in _OF_PLACES:
        height, width = sample.label.shape
        positions = _OF_PLACES[name](height, width, severity, random)
        return sample._replace(image=_moved(sample.image, positions), label=_moved_label(sample.label, positions))
    _refuse_wrong_images(sample, name)
    pixels, top = _shares(sample.image)
    changed = np.clip(_OF_PIXELS[name](pixels, severity, random), 0, 1)
    return sample._replace(image=_stored(changed, top, sample.image))


def check_corruption(name: str, severity: int) -> None:
    """Refuse what is no corruption.

    Raises:
        DataError: It is none.
    """
    if name not in NAMES:
        raise DataError(f"there is no corruption called {name!r}{did_you_mean(name, NAMES)}")
    if severity not in SEVERITIES:
        raise DataError(f"{name}: the severity is {severity!r}; expected one of 1 to {SEVERITIES[-1]}")


class CorruptedDataset(DerivedDataset):
    """A split whose images are corrupted as they are read.

    Args:
        dataset: The clean split.
        name: The corruption.
        severity: 1 to 5.
    """

    def __init__(self, dataset: SegmentationDataset, name: str, severity: int) -> None:
        check_corruption(name, severity)
        super().__init__(dataset)
        self.name, self.severity = name, severity

    def read(self, index: int) -> Sample:
        """Return one image, corrupted, with its label."""
        return corrupt(self.dataset.read(index), self.name, self.severity)

    def fingerprint(self) -> str:
        """Return a hash of the clean split's fingerprint and the corruption."""
        return hash_of([self.dataset.fingerprint(), self.name, self.severity, VERSION])

    def cache_key(self) -> str:
        """Return a hash of the clean split's key and the corruption."""
        return hash_of([self.dataset.cache_key(), self.name, self.severity, VERSION])


def _seed(image: str, name: str, severity: int) -> int:
    digest = hashlib.sha256(json.dumps([image, name, severity]).encode()).digest()
    return int.from_bytes(digest[:4], "big")


def _refuse_wrong_images(sample: Sample, name: str) -> None:
    color = sample.image.dtype == np.uint8 and sample.image.shape[-1] == 3
    if name in COLOR_ONLY and not color:
        found = f"{sample.image.shape[-1]} channels of {sample.image.dtype}"
        raise DataError(f"{sample.name}: {name} is for 8-bit RGB images, these have {found}; leave it out")


def _shares(image: ImageArray) -> tuple[Pixels, tuple[float, float]]:
    """Return an image as shares of its range, and that range: of its type or, of float images, its own."""
    low, high = (0.0, TOPS[image.dtype.name]) if image.dtype.name in TOPS else _own_range(image)
    return (image.astype(np.float64) - low) / (high - low), (low, high)


def _own_range(image: ImageArray) -> tuple[float, float]:
    low, high = float(image.min()), float(image.max())
    return low, high if high > low else low + 1


def _stored(pixels: Pixels, span: tuple[float, float], like: ImageArray) -> ImageArray:
    """Return shares of a range as pixels of the given image's type; 8 bits are cut off, as the published code does."""
    values = pixels * (span[1] - span[0]) + span[0]
    if like.dtype == np.uint8:
        return np.floor(values + 1e-6).astype(np.uint8)
    return np.round(values).astype(np.uint16) if like.dtype == np.uint16 else values.astype(np.float32)


def _moved(image: ImageArray, positions: Positions) -> ImageArray:
    moved = sampled(image.astype(np.float64), positions.rows, positions.columns)
    if image.dtype == np.uint8:
        return np.round(moved).astype(np.uint8)
    return np.round(moved).astype(np.uint16) if image.dtype == np.uint16 else moved.astype(np.float32)


def _moved_label(label: LabelArray, positions: Positions) -> LabelArray:
    """Return a label read at the nearest pixels; what lies outside the image is void."""
    moved: NDArray[np.uint8] = ndimage.map_coordinates(
        label, (positions.rows, positions.columns), order=0, mode="constant", cval=IGNORE_INDEX
    )
    return moved
