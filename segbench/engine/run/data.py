"""What a run is made from: its splits, transformed and batched as the recipe says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from torch import Tensor

from segbench.config.plan import Run
from segbench.data.base import ChannelStatistics, ImageArray, ImageFormat, Sample, SegmentationDataset
from segbench.data.loading.loader import WHOLE, EvaluationLoader, Shard, TrainingLoader
from segbench.data.loading.pipeline import Pipeline
from segbench.data.loading.statistics import measure, measures
from segbench.engine.evaluation.predictor import scaled_size
from segbench.engine.run.splits import OpenedSplits, open_splits

STATISTICS_KEY = "channel_statistics"
"""Where what was measured in a split stands among what was found in it."""


@dataclass(frozen=True)
class RunData(OpenedSplits):
    """The opened splits of a run, and how its recipe transforms and batches them.

    Attributes:
        statistics: Mean and deviation of the training images; None where they are not known yet, or not asked for.
    """

    statistics: ChannelStatistics | None = None

    @property
    def measures(self) -> bool:
        """Whether a step takes its numbers from the training split."""
        transforms = self.run.recipe.transforms
        return self.train is not None and (measures(transforms.test) or measures(transforms.train))

    @cached_property
    def images(self) -> ImageFormat:
        """What the images are, with the statistics of the training split where a step takes them."""
        statistics = self.statistics
        if statistics is None and self.measures and self.train is not None:
            statistics = measure(self.train)
        return replace(self.info.image_format, statistics=statistics)

    def training_pipeline(self) -> Pipeline:
        """Return what happens to training images."""
        return Pipeline(self.run.recipe.transforms.train, training=True, images=self.images)

    def test_pipeline(self) -> Pipeline:
        """Return what happens to validation and test images."""
        return Pipeline(self.run.recipe.transforms.test, training=False, images=self.images)

    def test_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the size at which a network sees a test image of this height and width."""
        pixels: ImageArray = np.zeros((height, width, self.info.channels), self.info.dtype)
        return _size(self.test_pipeline()(Sample("blank", pixels, np.zeros((height, width), np.uint8))).image)

    def first_test_size(self) -> tuple[int, int]:
        """Return the size at which a network sees the first test image."""
        return self.test_size(*self.test.read(0).label.shape)

    def first_training_size(self) -> tuple[int, int] | None:
        """Return the size at which a network sees the first training image; None when nothing is trained."""
        if self.train is None:
            return None
        return _size(self.training_pipeline()(self.train.read(0), (self.run.seed, 1, 0)).image)

    def seen_sizes(self, test_sizes: Iterable[tuple[int, int]]) -> set[tuple[int, int]]:
        """Return every size that a network meets, under all scales and as tiles of a window."""
        training = self.first_training_size()
        seen = {training} if training else set()
        evaluation = self.run.recipe.evaluate
        for height, width in {self.test_size(*size) for size in test_sizes}:
            for scale in evaluation.scales:
                size = scaled_size(height, width, scale)
                if evaluation.window is not None:
                    size = min(size[0], evaluation.window.size[0]), min(size[1], evaluation.window.size[1])
                seen.add(size)
        return seen

    def training_loader(self, *, pin_memory: bool = False, share: Shard = WHOLE) -> TrainingLoader:
        """Return the loader of a share of the training split; needs a training recipe."""
        recipe = self.run.recipe
        assert recipe.train is not None
        assert self.train is not None
        return TrainingLoader(
            self.train,
            self.training_pipeline(),
            batch_size=recipe.train.batch_size,
            seed=self.run.seed,
            drop_last=recipe.train.drop_last and recipe.train.accumulate != "epoch",
            workers=self.run.loader.workers,
            pin_memory=pin_memory,
            share=share,
            last_epoch=recipe.train.epochs,
        )

    def evaluation_loader(
        self, split: SegmentationDataset, *, pin_memory: bool = False, share: Shard = WHOLE
    ) -> EvaluationLoader:
        """Return the loader of a share of a split that is to be evaluated."""
        return EvaluationLoader(
            split,
            self.test_pipeline(),
            batch_size=self.run.recipe.evaluate.batch_size,
            workers=self.run.loader.workers,
            pin_memory=pin_memory,
            share=share,
        )


def _size(image: Tensor) -> tuple[int, int]:
    height, width = image.shape[-2:]
    return int(height), int(width)


def open_run_data(run: Run, checks: Mapping[str, Mapping[str, Any]] | None = None) -> RunData:
    """Open the splits that a run needs.

    Args:
        run: The run.
        checks: What was found when splits were read through, by their key; what is measured in them may be among it.

    Raises:
        DataError: A split is missing, empty or inconsistent.
    """
    return materials_of(open_splits(run), checks or {})


def materials_of(opened: OpenedSplits, checks: Mapping[str, Mapping[str, Any]]) -> RunData:
    """Return how opened splits are transformed and batched; ``checks`` are those of ``open_materials``."""
    found = RunData(opened.run, test=opened.test, train=opened.train, validation=opened.validation, folds=opened.folds)
    if found.train is None or not found.measures:
        return found
    known = checks.get(found.train.cache_key(), {}).get(STATISTICS_KEY)
    if known is None:
        return found
    return replace(found, statistics=ChannelStatistics(tuple(known["mean"]), tuple(known["std"])))


def measured(materials: RunData) -> dict[str, dict[str, Any]]:
    """Return what is measured in the training split, by its key, as ``checks`` keep it; empty where nothing is.

    Raises:
        DataError: An image cannot be read, or a channel is the same everywhere.
    """
    statistics = materials.images.statistics
    if materials.train is None or statistics is None:
        return {}
    return {materials.train.cache_key(): {STATISTICS_KEY: {"mean": list(statistics.mean), "std": list(statistics.std)}}}
