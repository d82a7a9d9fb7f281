"""What storing an image does to it: fewer pixels, strong compression."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from numpy.random import RandomState
from PIL import Image

from segbench.data.corruptions.noise import Pixels


def jpeg_compression(image: Pixels, severity: int, random: RandomState) -> Pixels:  # noqa: ARG001 - nothing is random
    """Store an RGB image as a JPEG of low quality."""
    file = BytesIO()
    _as_picture(image).save(file, "JPEG", quality=(25, 18, 15, 10, 7)[severity - 1])
    return np.asarray(Image.open(file), np.float64) / 255


def pixelate(image: Pixels, severity: int, random: RandomState) -> Pixels:  # noqa: ARG001 - nothing is random
    """Reduce an image to fewer pixels by their means, and enlarge it again by the nearest one."""
    scale = (0.6, 0.5, 0.4, 0.3, 0.25)[severity - 1]
    height, width = image.shape[:2]
    small = max(1, int(width * scale)), max(1, int(height * scale))
    planes = []
    for channel in range(image.shape[-1]):
        plane = Image.fromarray(image[..., channel].astype(np.float32))
        reduced = plane.resize(small, Image.Resampling.BOX)
        planes.append(np.asarray(reduced.resize((width, height), Image.Resampling.NEAREST), np.float64))
    return np.stack(planes, axis=-1)


def _as_picture(image: Pixels) -> Image.Image:
    return Image.fromarray(np.round(image * 255).astype(np.uint8))
