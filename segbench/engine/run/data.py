"""The data of a run: its splits with the recipe's transforms, and loaders of batches."""

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
from segbench.engine.evaluation.predictor import input_sizes
from segbench.engine.run.splits import OpenedSplits, open_splits

STATISTICS_KEY = "channel_statistics"
"""Key of the measured statistics among a split's findings."""


@dataclass(frozen=True)
class RunData(OpenedSplits):
    """The opened splits of a run, with the recipe's transforms and loaders.

    Attributes:
        statistics: Mean and standard deviation of the training images; None if not measured yet or not needed.
    """

    statistics: ChannelStatistics | None = None

    @property
    def measures(self) -> bool:
        """Whether a transform uses statistics measured on the training split."""
        transforms = self.run.recipe.transforms
        return self.train is not None and (measures(transforms.test) or measures(transforms.train))

    @cached_property
    def images(self) -> ImageFormat:
        """Facts about the images, with the training split's statistics if a transform uses them."""
        statistics = self.statistics
        if statistics is None and self.measures and self.train is not None:
            statistics = measure(self.train)
        return replace(self.info.image_format, statistics=statistics)

    def training_pipeline(self) -> Pipeline:
        """Return the transforms of training images."""
        return Pipeline(self.run.recipe.transforms.train, training=True, images=self.images)

    def test_pipeline(self) -> Pipeline:
        """Return the transforms of validation and test images."""
        return Pipeline(self.run.recipe.transforms.test, training=False, images=self.images)

    def test_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the size of a transformed test image of this height and width."""
        pixels: ImageArray = np.zeros((height, width, self.info.channels), self.info.dtype)
        return _size(self.test_pipeline()(Sample("blank", pixels, np.zeros((height, width), np.uint8))).image)

    def first_test_size(self) -> tuple[int, int]:
        """Return the size of the first transformed test image."""
        return self.test_size(*self.test.read(0).label.shape)

    def first_training_size(self) -> tuple[int, int] | None:
        """Return the size of the first transformed training image; None without training."""
        if self.train is None:
            return None
        return _size(self.training_pipeline()(self.train.read(0), (self.run.seed, 1, 0)).image)

    def seen_sizes(self, test_sizes: Iterable[tuple[int, int]]) -> set[tuple[int, int]]:
        """Return all input sizes of the network, including all scales and the tiles of a window."""
        training = self.first_training_size()
        seen = {training} if training else set()
        for height, width in {self.test_size(*size) for size in test_sizes}:
            seen.update(input_sizes(height, width, self.run.recipe.evaluate))
        return seen

    def training_loader(self, *, pin_memory: bool = False, shard: Shard = WHOLE) -> TrainingLoader:
        """Return the loader of a shard of the training split; requires a training recipe."""
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
            shard=shard,
            last_epoch=recipe.train.epochs,
        )

    def evaluation_loader(
        self, split: SegmentationDataset, *, pin_memory: bool = False, shard: Shard = WHOLE
    ) -> EvaluationLoader:
        """Return the loader of a shard of a split to evaluate."""
        return EvaluationLoader(
            split,
            self.test_pipeline(),
            batch_size=self.run.recipe.evaluate.batch_size,
            workers=self.run.loader.workers,
            pin_memory=pin_memory,
            shard=shard,
        )


def _size(image: Tensor) -> tuple[int, int]:
    height, width = image.shape[-2:]
    return int(height), int(width)


def open_run_data(run: Run, checks: Mapping[str, Mapping[str, Any]] | None = None) -> RunData:
    """Open the splits that a run needs.

    Args:
        run: The run.
        checks: Findings of the data checks, by split key; may include measured statistics.

    Raises:
        DataError: A split is missing, empty or inconsistent.
    """
    return run_data_of(open_splits(run), checks or {})


def run_data_of(opened: OpenedSplits, checks: Mapping[str, Mapping[str, Any]]) -> RunData:
    """Return the data of a run from its opened splits; for ``checks`` see ``open_run_data``."""
    found = RunData(opened.run, test=opened.test, train=opened.train, validation=opened.validation, folds=opened.folds)
    if found.train is None or not found.measures:
        return found
    known = checks.get(found.train.cache_key(), {}).get(STATISTICS_KEY)
    if known is None:
        return found
    return replace(found, statistics=ChannelStatistics(tuple(known["mean"]), tuple(known["std"])))


def measured(run_data: RunData) -> dict[str, dict[str, Any]]:
    """Measure the training split's statistics, by its key and in the format of ``checks``; empty if not needed.

    Raises:
        DataError: An image cannot be read, or a channel is constant.
    """
    statistics = run_data.images.statistics
    if run_data.train is None or statistics is None:
        return {}
    return {run_data.train.cache_key(): {STATISTICS_KEY: {"mean": list(statistics.mean), "std": list(statistics.std)}}}
