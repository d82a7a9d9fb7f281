"""The training images that int8 is calibrated on: always the same ones, as the network is fed with them in its test."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from torch import Tensor

from segbench.config.sections.training import Evaluate
from segbench.data.base import SegmentationDataset
from segbench.data.loading.pipeline import Pipeline
from segbench.data.subset import take
from segbench.results.deployments.record import CalibrationSet


class CalibrationImages(NamedTuple):
    """Images to calibrate on.

    Attributes:
        images: (1, C, H, W) float32 each.
        record: Their names and their digest.
    """

    images: list[Tensor]
    record: CalibrationSet


def calibration_images(
    train: SegmentationDataset, pipeline: Pipeline, settings: Evaluate, *, count: int
) -> CalibrationImages:
    """Return training images after the test transforms, chosen by their names; under a window, their middle tile.

    Args:
        train: The training split.
        pipeline: The transforms of test images.
        settings: How networks are evaluated.
        count: How many.

    Raises:
        DataError: An image cannot be read.
    """
    chosen = take(train, count)
    images, digest = [], hashlib.sha256()
    for index, name in enumerate(chosen.names):
        image = _tile(pipeline(chosen.read(index)).image, settings)[None].contiguous()
        digest.update(name.encode())
        digest.update(image.numpy().tobytes())
        images.append(image)
    return CalibrationImages(images, CalibrationSet(images=tuple(chosen.names), digest=digest.hexdigest()))


def _tile(image: Tensor, settings: Evaluate) -> Tensor:
    if settings.window is None:
        return image
    height, width = (min(side, tile) for side, tile in zip(image.shape[-2:], settings.window.size, strict=True))
    top, left = (image.shape[-2] - height) // 2, (image.shape[-1] - width) // 2
    return image[:, top : top + height, left : left + width]
