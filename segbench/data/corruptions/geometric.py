"""Geometric corruptions: where each pixel is read from; labels go along."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray
from scipy import ndimage


class Positions(NamedTuple):
    """Where each pixel of the corrupted image is read.

    Attributes:
        rows: (H, W), in pixels of the image.
        columns: (H, W), likewise.
    """

    rows: NDArray[np.float64]
    columns: NDArray[np.float64]


def elastic_transform(height: int, width: int, severity: int, random: RandomState) -> Positions:
    """Displace pixels smoothly (Simard et al. 2003) after a random affine map; lengths are shares of the shorter side.

    Strengths are the published ones for images of 244 pixels: from long waves to short ripples.
    """
    strength, wave, corners = (
        (2, 0.7, 0.1),
        (2, 0.08, 0.2),
        (0.05, 0.01, 0.02),
        (0.07, 0.01, 0.02),
        (0.12, 0.01, 0.02),
    )[severity - 1]
    side = min(height, width)
    down, right = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    rows, columns = _affine(down, right, side * corners, random)
    moved = []
    for axis in (rows, columns):
        noise = random.uniform(-1, 1, size=(height, width))
        smooth = ndimage.gaussian_filter(noise, side * wave, mode="reflect", truncate=3)
        moved.append(axis + smooth * strength * side)
    return Positions(*moved)


def barrel_distortion(height: int, width: int, severity: int, random: RandomState) -> Positions:  # noqa: ARG001
    """Bend straight lines outwards, as a wide lens does: radius r is read at r (1 + k r^2), r = 1 in the corners."""
    bend = (0.05, 0.1, 0.2, 0.3, 0.4)[severity - 1]
    middle = (height - 1) / 2, (width - 1) / 2
    down, right = np.meshgrid(np.arange(height) - middle[0], np.arange(width) - middle[1], indexing="ij")
    radius = (down**2 + right**2) / (middle[0] ** 2 + middle[1] ** 2)
    scale = (1 + bend * radius) / (1 + bend)
    return Positions(down * scale + middle[0], right * scale + middle[1])


def _affine(
    down: NDArray[np.int64], right: NDArray[np.int64], reach: float, random: RandomState
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return positions under the affine map that moves three points around the middle by up to ``reach`` pixels."""
    height, width = down.shape
    third = min(height, width) // 3
    middle = np.array([height // 2, width // 2])
    fixed = middle + np.array([[third, third], [third, -third], [-third, -third]])
    moved = fixed + random.uniform(-reach, reach, size=fixed.shape)
    matrix = np.linalg.solve(np.column_stack([moved, np.ones(3)]), fixed)
    places = np.column_stack([down.ravel(), right.ravel(), np.ones(down.size)])
    found = np.asarray(places @ matrix, np.float64)
    return found[:, 0].reshape(down.shape), found[:, 1].reshape(down.shape)
