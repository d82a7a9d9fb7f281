"""A data set of random images and labels, for checks without data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from segbench.data.base import IGNORE_INDEX, DatasetInfo, Sample, SegmentationDataset
from segbench.data.loading.loader import TrainingLoader
from segbench.data.loading.pipeline import Pipeline


class Noise(SegmentationDataset):
    """Images of uniform noise with random classes and a first row of void pixels.

    Args:
        count: Number of images.
        size: Height and width.
        classes: Number of classes.
        channels: Number of image channels.
    """

    def __init__(self, count: int, size: tuple[int, int], *, classes: int, channels: int) -> None:
        self.count, self.size = count, size
        self.info = DatasetInfo("noise", tuple(map(str, range(classes))), ((0, 0, 0),) * classes, channels=channels)

    @property
    def names(self) -> Sequence[str]:
        """The images' names."""
        return [str(index) for index in range(self.count)]

    def read(self, index: int) -> Sample:
        """Return an image that depends only on the index."""
        generator = np.random.default_rng(index)
        image = generator.integers(0, 256, (*self.size, self.info.channels), np.uint8)
        label = generator.integers(0, len(self.info.classes), self.size, np.uint8)
        label[0] = IGNORE_INDEX
        return Sample(str(index), image, label)

    def fingerprint(self) -> str:
        """Return a fingerprint of everything the images depend on."""
        return f"noise {self.count} {self.size} {len(self.info.classes)} {self.info.channels}"


def noise_loader(
    batches: int, size: tuple[int, int], *, batch_size: int, classes: int, channels: int, pin_memory: bool
) -> TrainingLoader:
    """Return a training loader of batches of noise, without transforms."""
    split = Noise(batches * batch_size, size, classes=classes, channels=channels)
    return TrainingLoader(
        split, Pipeline((), training=True), batch_size=batch_size, seed=0, workers=0, pin_memory=pin_memory
    )
