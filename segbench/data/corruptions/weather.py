"""Weather and light: snow, fog, brightness, contrast, saturation."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import hsv_to_rgb, rgb_to_hsv
from numpy.random import RandomState
from numpy.typing import NDArray

from segbench.data.corruptions.blur import along_line, magnified
from segbench.data.corruptions.noise import Pixels

_GREY = np.array([0.299, 0.587, 0.114])


def snow(image: Pixels, severity: int, random: RandomState) -> Pixels:
    """Whiten an RGB image, and draw flakes that fall aslant."""
    mean, spread, zoom, least, radius, sigma, kept = (
        (0.1, 0.3, 3.0, 0.5, 10, 4, 0.8),
        (0.2, 0.3, 2.0, 0.5, 12, 4, 0.7),
        (0.55, 0.3, 4.0, 0.9, 12, 8, 0.7),
        (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
        (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
    )[severity - 1]
    flakes = random.normal(size=image.shape[:2], loc=mean, scale=spread)[..., None]
    flakes = magnified(flakes, zoom)
    flakes[flakes < least] = 0
    flakes = along_line(np.clip(flakes, 0, 1), radius, sigma, angle=float(random.uniform(-135, -45)))
    grey = (image @ _GREY)[..., None]
    whitened = kept * image + (1 - kept) * np.maximum(image, grey * 1.5 + 0.5)
    snowed: Pixels = whitened + flakes + flakes[::-1, ::-1]
    return snowed


def fog(image: Pixels, severity: int, random: RandomState) -> Pixels:
    """Lay a cloud over an image, and keep its brightest value."""
    density, roughness = ((1.5, 2.0), (2.0, 2.0), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4))[severity - 1]
    height, width = image.shape[:2]
    brightest = image.max()
    cloud = plasma(max(height, width), roughness, random)[:height, :width, None]
    foggy: Pixels = (image + density * cloud) * brightest / (brightest + density)
    return foggy


def brightness(image: Pixels, severity: int, random: RandomState) -> Pixels:  # noqa: ARG001 - nothing is random
    """Add to the value of an RGB image."""
    return _hsv(image, value=(0.1, 0.2, 0.3, 0.4, 0.5)[severity - 1])


def saturate(image: Pixels, severity: int, random: RandomState) -> Pixels:  # noqa: ARG001 - nothing is random
    """Take colour from an RGB image, or add to it."""
    factor, more = ((0.3, 0.0), (0.1, 0.0), (2.0, 0.0), (5.0, 0.1), (20.0, 0.2))[severity - 1]
    return _hsv(image, saturation=factor, more=more)


def contrast(image: Pixels, severity: int, random: RandomState) -> Pixels:  # noqa: ARG001 - nothing is random
    """Move each channel towards its mean."""
    kept = (0.4, 0.3, 0.2, 0.1, 0.05)[severity - 1]
    mean = image.mean(axis=(0, 1), keepdims=True)
    nearer: Pixels = (image - mean) * kept + mean
    return nearer


def _hsv(image: Pixels, *, saturation: float = 1, more: float = 0, value: float = 0) -> Pixels:
    hsv = rgb_to_hsv(image)
    hsv[..., 1] = np.clip(hsv[..., 1] * saturation + more, 0, 1)
    hsv[..., 2] = np.clip(hsv[..., 2] + value, 0, 1)
    changed: Pixels = hsv_to_rgb(hsv)
    return changed


def plasma(size: int, roughness: float, random: RandomState) -> NDArray[np.float64]:
    """Return a square cloud of at least ``size`` pixels a side, between 0 and 1.

    By the diamond-square algorithm on a torus (Fournier, Fussell and Carpenter 1982): each round halves the grid and
    divides the noise by the square of ``roughness``, as the published code of ``fog`` does.
    """
    side = 1 << (size - 1).bit_length()
    cloud = np.zeros((side, side))
    step, noise = side, 1e4
    while step >= 2:
        half = step // 2
        corners = cloud[::step, ::step]
        around = corners + np.roll(corners, -1, 0)
        around += np.roll(around, -1, 1)
        cloud[half::step, half::step] = around / 4 + noise * random.uniform(-1, 1, around.shape)
        centres = cloud[half::step, half::step]
        beside = centres + np.roll(centres, 1, 0) + corners + np.roll(corners, -1, 1)
        below = centres + np.roll(centres, 1, 1) + corners + np.roll(corners, -1, 0)
        cloud[::step, half::step] = beside / 4 + noise * random.uniform(-1, 1, beside.shape)
        cloud[half::step, ::step] = below / 4 + noise * random.uniform(-1, 1, below.shape)
        step, noise = half, noise / roughness**2
    cloud -= cloud.min()
    return cloud / cloud.max() if cloud.max() > 0 else cloud
