"""Measures mean and standard deviation of each channel over the images of a split."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from segbench.config.component import TransformEntry
from segbench.data.base import ChannelStatistics, SegmentationDataset
from segbench.errors import DataError

_DIGITS = 7
"""Significant digits kept: all of float32, and none that depend on a CPU's order of summation."""


def measures(steps: Sequence[TransformEntry]) -> bool:
    """Return whether a transform uses statistics measured on the training split."""
    return any(step.options.get("statistics") == "measured" for step in steps)


def measure(dataset: SegmentationDataset) -> ChannelStatistics:
    """Measure each channel over all pixels of a split, including void pixels.

    Returns:
        Mean and population standard deviation; in fractions of 255 for 8-bit images.

    Raises:
        DataError: An image cannot be read, or a channel is constant.
    """
    total = _Moments.none(dataset.info.channels)
    for index in range(len(dataset)):
        total = total.joined(_Moments.of(dataset.read(index).image))
    deviations = np.sqrt(total.squares / max(1, total.pixels))
    constant = np.flatnonzero(deviations == 0)
    if constant.size:
        raise DataError(
            f"{dataset.info.name}: channel {int(constant[0])} (from 0) is {total.mean[constant[0]]:g} in every pixel "
            "of the training split and cannot be normalised; leave it out of dataset.channels"
        )
    scale = 255 if dataset.info.dtype == "uint8" else 1
    return ChannelStatistics(_rounded(total.mean / scale), _rounded(deviations / scale))


class _Moments:
    """Count, mean and sum of squared deviations of the pixels of each channel.

    Combined as in T. F. Chan, G. H. Golub, R. J. LeVeque, Algorithms for computing the sample variance, 1983.
    """

    def __init__(self, pixels: int, mean: NDArray[np.float64], squares: NDArray[np.float64]) -> None:
        self.pixels, self.mean, self.squares = pixels, mean, squares

    @classmethod
    def none(cls, channels: int) -> _Moments:
        """Return the moments of no pixels."""
        return cls(0, np.zeros(channels), np.zeros(channels))

    @classmethod
    def of(cls, image: NDArray[np.generic]) -> _Moments:
        """Return the moments of an (H, W, C) image."""
        values = image.reshape(-1, image.shape[2]).astype(np.float64)
        mean = values.mean(axis=0)
        return cls(len(values), mean, np.square(values - mean).sum(axis=0))

    def joined(self, other: _Moments) -> _Moments:
        """Combine the moments of two sets of pixels."""
        pixels = self.pixels + other.pixels
        difference = other.mean - self.mean
        mean = self.mean + difference * other.pixels / pixels
        squares = self.squares + other.squares + difference**2 * self.pixels * other.pixels / pixels
        return _Moments(pixels, mean, squares)


def _rounded(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(float(f"{value:.{_DIGITS}g}") for value in values)
