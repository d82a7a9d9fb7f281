"""Applies a checkpoint to a split or to image files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from segbench.config.component import DatasetEntry
from segbench.config.suite import Loader
from segbench.data.base import IGNORE_INDEX, Sample, SegmentationDataset
from segbench.data.datasets.folder import reader_of
from segbench.data.datasets.samples import check_format
from segbench.data.decoding.decoding import page_count
from segbench.data.folds.folds import open_folds
from segbench.data.loading.loader import EvaluationLoader
from segbench.data.loading.pipeline import Pipeline
from segbench.data.open import open_dataset
from segbench.engine.checkpoint import Checkpoint, load_checkpoint
from segbench.engine.device import use_device
from segbench.engine.evaluation.evaluate import DetailRecorder, Evaluation, evaluate
from segbench.engine.evaluation.predictor import Predictor, class_map, resized
from segbench.engine.inference.unseen import refuse_other_images, refuse_other_options
from segbench.engine.run.parts import evaluation_config, predictor_of
from segbench.errors import DataError, ModelRefusal
from segbench.models.build import check_input


@dataclass(frozen=True)
class Ready:
    """A checkpoint on its device, with the preprocessing and prediction settings of its test."""

    checkpoint: Checkpoint
    predictor: Predictor
    pipeline: Pipeline

    def open_fold(self, entry: DatasetEntry) -> SegmentationDataset:
        """Return the test fold of a network of a cross-validation.

        Raises:
            UsageError: The data set's options lead to other folds.
            DataError: The data is missing, invalid, not that of the training, or has other classes.
        """
        fold = self.checkpoint.run.fold
        assert fold is not None
        refuse_other_options(self.checkpoint, entry)
        folds = open_folds(entry, loader=Loader())
        self._refuse_other_classes(folds.pool)
        refuse_other_images(self.checkpoint, folds)
        return folds.test(fold)

    def open_split(self, entry: DatasetEntry, split: str) -> SegmentationDataset:
        """Return the images of a split.

        Raises:
            DataError: The data is missing or invalid, or has other classes.
        """
        dataset = open_dataset(entry, split, loader=Loader())
        self._refuse_other_classes(dataset)
        return dataset

    def _refuse_other_classes(self, dataset: SegmentationDataset) -> None:
        expected, found = self.checkpoint.info.image_format, dataset.info.image_format
        if found != expected:
            raise DataError(f"{dataset.info.name}: its images have {found}; the checkpoint was trained on {expected}")
        trained = self.checkpoint.info.classes
        if dataset.info.classes != trained:
            raise DataError(
                f"{dataset.info.name}: has the classes {', '.join(dataset.info.classes)}; "
                f"the checkpoint was trained on {', '.join(trained)}"
            )

    def evaluate(
        self,
        dataset: SegmentationDataset,
        *,
        workers: int,
        progress: Callable[[int, int], None],
        details: DetailRecorder | None = None,
    ) -> Evaluation:
        """Evaluate on images with labels; ``details`` records more of each.

        Raises:
            DataError: An image cannot be read.
            ModelRefusal: The network cannot take the images.
        """
        batch_size = self.predictor.settings.batch_size
        with EvaluationLoader(dataset, self.pipeline, batch_size=batch_size, workers=workers) as loader:
            return evaluate(self.predictor, loader, details=details, progress=progress)

    def pages(self, file: Path) -> Sequence[int | None]:
        """Return the pages of an image file to predict, read as in training; a single None if it has one page.

        Raises:
            DataError: The file cannot be opened.
        """
        wanted = self.checkpoint.run.recipe.dataset.options.get("pages")
        if wanted == "each" and (count := page_count(file)) > 1:
            return range(count)
        return [None if wanted is None else 0]

    def predict(self, file: Path, *, page: int | None = None) -> NDArray[np.uint8]:
        """Return the class map of an image file, (H, W) uint8, in its displayed orientation and size.

        Args:
            file: The file.
            page: Index of the page, from 0.

        Raises:
            DataError: The file cannot be read as an image, or is of another kind than the training images.
            ModelRefusal: The network cannot take an image of this size.
        """
        pixels = reader_of(self.checkpoint.run.recipe.dataset.options.get("channels"))(file, page=page)
        check_format(pixels, self.checkpoint.info.image_format, source=str(file))
        unlabelled = np.full(pixels.shape[:2], IGNORE_INDEX, dtype=np.uint8)
        image, _ = self.pipeline(Sample(file.stem, pixels, unlabelled))
        try:
            scores = self._scores(image[None])
        except ModelRefusal as refusal:
            raise ModelRefusal(f"{file}: {refusal}") from None
        return class_map(resized(scores, pixels.shape[:2])[0])

    def _scores(self, images: Tensor) -> Tensor:
        settings = self.predictor.settings
        if settings.window is None and tuple(settings.scales) == (1.0,):
            check_input(self.checkpoint.network, *images.shape[-2:])
        scores = self.predictor.scores(images)
        if not bool(scores.isfinite().all()):
            raise ModelRefusal("the network's scores are not finite, so there is no best class")
        return scores


def ready(file: Path, *, device: str) -> Ready:
    """Load a checkpoint onto a device.

    Raises:
        WeightsError: The file cannot be read, or was not written by ``segbench run``.
        UsageError: The device does not exist.
    """
    place = use_device(device)
    checkpoint = load_checkpoint(file)
    recipe = checkpoint.run.recipe
    evaluation_config(recipe, place).place(checkpoint.network)
    return Ready(
        checkpoint,
        predictor_of(checkpoint.network, recipe, classes=len(checkpoint.info.classes), device=place),
        Pipeline(recipe.transforms.test, training=False, images=checkpoint.images),
    )
