"""What a run is made from: its splits, transformed and batched as the recipe says."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from torch import Tensor

from segbench.config.plan import Run
from segbench.data.base import Sample, SegmentationDataset
from segbench.data.loader import WHOLE, EvaluationLoader, Share, TrainingLoader
from segbench.data.pipeline import Pipeline
from segbench.engine.predict import scaled_size
from segbench.engine.splits import OpenedSplits, open_splits


class Materials(OpenedSplits):
    """The opened splits of a run, and how its recipe transforms and batches them."""

    def test_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the size at which a network sees a test image of this height and width."""
        blank = Sample("blank", np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.uint8))
        return _size(Pipeline(self.run.recipe.transforms.test, training=False)(blank).image)

    def first_test_size(self) -> tuple[int, int]:
        """Return the size at which a network sees the first test image."""
        return self.test_size(*self.test.read(0).label.shape)

    def first_training_size(self) -> tuple[int, int] | None:
        """Return the size at which a network sees the first training image; None when nothing is trained."""
        if self.train is None:
            return None
        pipeline = Pipeline(self.run.recipe.transforms.train, training=True)
        return _size(pipeline(self.train.read(0), (self.run.seed, 1, 0)).image)

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

    def training_loader(self, *, pin_memory: bool = False, share: Share = WHOLE) -> TrainingLoader:
        """Return the loader of a share of the training split; needs a training recipe."""
        recipe = self.run.recipe
        assert recipe.train is not None
        assert self.train is not None
        return TrainingLoader(
            self.train,
            Pipeline(recipe.transforms.train, training=True),
            batch_size=recipe.train.batch_size,
            seed=self.run.seed,
            drop_last=recipe.train.drop_last and recipe.train.accumulate != "epoch",
            workers=self.run.loader.workers,
            pin_memory=pin_memory,
            share=share,
            last_epoch=recipe.train.epochs,
        )

    def evaluation_loader(
        self, split: SegmentationDataset, *, pin_memory: bool = False, share: Share = WHOLE
    ) -> EvaluationLoader:
        """Return the loader of a share of a split that is to be evaluated."""
        return EvaluationLoader(
            split,
            Pipeline(self.run.recipe.transforms.test, training=False),
            batch_size=self.run.recipe.evaluate.batch_size,
            workers=self.run.loader.workers,
            pin_memory=pin_memory,
            share=share,
        )


def _size(image: Tensor) -> tuple[int, int]:
    height, width = image.shape[-2:]
    return int(height), int(width)


def open_materials(run: Run) -> Materials:
    """Open the splits that a run needs.

    Raises:
        DataError: A split is missing, empty or inconsistent.
    """
    return materials_of(open_splits(run))


def materials_of(opened: OpenedSplits) -> Materials:
    """Return how opened splits are transformed and batched."""
    return Materials(opened.run, test=opened.test, train=opened.train, validation=opened.validation, folds=opened.folds)
