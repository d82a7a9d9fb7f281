"""Noises: each works on an image of any number of channels, as shares of its range."""

from __future__ import annotations

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

Pixels = NDArray[np.float64]


def gaussian_noise(image: Pixels, severity: int, random: RandomState) -> Pixels:
    """Add normal noise, as of a sensor in poor light."""
    scale = (0.08, 0.12, 0.18, 0.26, 0.38)[severity - 1]
    return image + random.normal(size=image.shape, scale=scale)


def shot_noise(image: Pixels, severity: int, random: RandomState) -> Pixels:
    """Draw each value from a Poisson distribution, as photons arrive."""
    photons = (60, 25, 12, 5, 3)[severity - 1]
    return random.poisson(image * photons) / photons


def impulse_noise(image: Pixels, severity: int, random: RandomState) -> Pixels:
    """Set a share of the values to 0 or to the maximum, half of them each."""
    share = (0.03, 0.06, 0.09, 0.17, 0.27)[severity - 1]
    drawn = random.random_sample(image.shape)
    return np.where(drawn < share / 2, 0.0, np.where(drawn < share, 1.0, image))


def speckle_noise(image: Pixels, severity: int, random: RandomState) -> Pixels:
    """Add normal noise in proportion to each value."""
    scale = (0.15, 0.2, 0.35, 0.45, 0.6)[severity - 1]
    return image + image * random.normal(size=image.shape, scale=scale)
