"""Blurs; their radii are in pixels of the image as it is tested."""

from __future__ import annotations

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray
from scipy import ndimage

from segbench.data.corruptions.noise import Pixels


def gaussian_blur(image: Pixels, severity: int, random: RandomState) -> Pixels:  # noqa: ARG001 - nothing is random
    """Blur by a Gaussian."""
    return smooth(image, sigma=(1, 2, 3, 4, 6)[severity - 1])


def defocus_blur(image: Pixels, severity: int, random: RandomState) -> Pixels:  # noqa: ARG001 - nothing is random
    """Blur by a disk, as a lens that is out of focus."""
    radius, softness = ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5))[severity - 1]
    return _convolve(image, disk(radius, softness))


def glass_blur(image: Pixels, severity: int, random: RandomState) -> Pixels:
    """Blur, exchange pixels with near ones, and blur again, as through frosted glass.

    Pixels take their values from near ones, all at once; the published code swaps pairs, one after the other.
    """
    sigma, reach, rounds = ((0.7, 1, 2), (0.9, 2, 1), (1.0, 2, 3), (1.1, 3, 2), (1.5, 4, 2))[severity - 1]
    mixed = smooth(image, sigma=sigma)
    height, width = image.shape[:2]
    for _ in range(rounds):
        down, right = random.randint(-reach, reach + 1, size=(2, height, width))
        rows = np.clip(np.arange(height)[:, None] + down, 0, height - 1)
        columns = np.clip(np.arange(width)[None, :] + right, 0, width - 1)
        mixed = mixed[rows, columns]
    return smooth(np.clip(mixed, 0, 1), sigma=sigma)


def motion_blur(image: Pixels, severity: int, random: RandomState) -> Pixels:
    """Blur along a line, as a camera that moves; the angle is random, within 45 degrees of level."""
    radius, sigma = ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))[severity - 1]
    return along_line(image, radius, sigma, angle=float(random.uniform(-45, 45)))


def zoom_blur(image: Pixels, severity: int, random: RandomState) -> Pixels:  # noqa: ARG001 - nothing is random
    """Average over magnifications, as a camera that moves towards the scene."""
    last, step = ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03))[severity - 1]
    zooms = np.arange(1, last, step)
    return (image + sum(magnified(image, zoom) for zoom in zooms)) / (len(zooms) + 1)


def smooth(image: Pixels, *, sigma: float) -> Pixels:
    """Return (H, W, C) blurred by a Gaussian in its plane, cut off at four sigmas."""
    blurred: Pixels = ndimage.gaussian_filter(image, sigma=(sigma, sigma, 0), mode="nearest", truncate=4)
    return blurred


def disk(radius: int, softness: float) -> NDArray[np.float64]:
    """Return the kernel of a disk whose edge is softened by a Gaussian of ``softness`` pixels; it sums to 1."""
    reach = max(8, radius)
    across = np.arange(-reach, reach + 1)
    shape = (across[:, None] ** 2 + across**2 <= radius**2).astype(np.float64)
    cut = 1 if radius <= 8 else 2
    soft: NDArray[np.float64] = ndimage.gaussian_filter(shape / shape.sum(), softness, mode="mirror", radius=cut)
    return soft


def along_line(image: Pixels, radius: int, sigma: float, *, angle: float) -> Pixels:
    """Return (H, W, C) averaged along a line of 2 ``radius`` + 1 pixels that begins at each pixel.

    The weights are half a Gaussian of ``sigma``; ``angle`` is in degrees.
    """
    weights = np.exp(-(np.arange(2 * radius + 1) ** 2) / (2 * sigma**2))
    weights /= weights.sum()
    down, right = np.sin(np.deg2rad(angle)), np.cos(np.deg2rad(angle))
    blurred = np.zeros_like(image)
    for place, weight in enumerate(weights):
        blurred += weight * _shifted(image, round(place * down), round(place * right))
    return blurred


def magnified(image: Pixels, zoom: float) -> Pixels:
    """Return the middle of an image, magnified bilinearly to its size."""
    height, width = image.shape[:2]
    rows = (np.arange(height) - (height - 1) / 2) / zoom + (height - 1) / 2
    columns = (np.arange(width) - (width - 1) / 2) / zoom + (width - 1) / 2
    return sampled(image, *np.meshgrid(rows, columns, indexing="ij"))


def sampled(image: Pixels, rows: NDArray[np.float64], columns: NDArray[np.float64]) -> Pixels:
    """Return (H, W, C) read bilinearly at real positions, each (H, W); what lies outside is the mirror image."""
    places = np.stack([rows, columns])
    planes = [ndimage.map_coordinates(plane, places, order=1, mode="reflect") for plane in _planes(image)]
    return np.stack(planes, axis=-1)


def _convolve(image: Pixels, kernel: NDArray[np.float64]) -> Pixels:
    return np.stack([ndimage.convolve(plane, kernel, mode="mirror") for plane in _planes(image)], axis=-1)


def _shifted(image: Pixels, down: int, right: int) -> Pixels:
    """Return an image moved by whole pixels; its edge is continued."""
    height, width = image.shape[:2]
    rows = np.clip(np.arange(height) - down, 0, height - 1)
    columns = np.clip(np.arange(width) - right, 0, width - 1)
    return image[rows[:, None], columns]


def _planes(image: Pixels) -> list[Pixels]:
    return [image[..., channel] for channel in range(image.shape[-1])]
