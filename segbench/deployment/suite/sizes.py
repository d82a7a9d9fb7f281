"""Which sizes of images a network is given in an evaluation."""

from __future__ import annotations

from collections import Counter
from functools import cache

import numpy as np

from segbench.config.sections.training import Evaluate
from segbench.data.base import Sample, SegmentationDataset
from segbench.data.loading.pipeline import Pipeline
from segbench.engine.evaluation.predictor import scaled_size


def sizes_given(images: SegmentationDataset, pipeline: Pipeline, settings: Evaluate) -> tuple[tuple[int, int], ...]:
    """Return heights and widths of all that a network is given, scales and tiles included, the most frequent first.

    Raises:
        DataError: An image cannot be read.
    """
    channels, dtype = images.info.channels, images.info.dtype

    @cache
    def transformed(height: int, width: int) -> tuple[int, int]:
        blank = Sample("blank", np.zeros((height, width, channels), dtype), np.zeros((height, width), np.uint8))
        _, *size = pipeline(blank).image.shape
        return size[0], size[1]

    found: Counter[tuple[int, int]] = Counter()
    for index in range(len(images)):
        height, width = images.read(index).label.shape
        for scale in settings.scales:
            size = scaled_size(*transformed(height, width), scale)
            if settings.window is not None:
                size = min(size[0], settings.window.size[0]), min(size[1], settings.window.size[1])
            found[size] += 1
    return tuple(size for size, _ in found.most_common())
