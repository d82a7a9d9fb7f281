"""Evaluates a network on a split: per-image confusion matrices, losses and throughput."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from segbench.data.loading.loader import EvaluationBatch, EvaluationLoader, InputDigest
from segbench.engine.evaluation.predictor import Predictor, best_class, confidence, resized
from segbench.metrics.confusion import count_pixels
from segbench.results.arrays.matrices import ImageMatrices


@dataclass(frozen=True)
class Picture:
    """The prediction for an image that will be shown.

    Attributes:
        index: Index of the image in its split.
        name: The image's name.
        prediction: (H, W) uint8 class indices at the label's size.
    """

    index: int
    name: str
    prediction: NDArray[np.uint8]


@dataclass(frozen=True)
class Evaluation:
    """The result of an evaluation.

    Attributes:
        positions: Indices of the images in the split.
        matrices: One confusion matrix for each image, with its void row.
        losses: The loss of each image; None without a loss function or without labelled pixels.
        digests: Hash of each image's input.
        seconds: Duration of the evaluation including data loading, without ``detail_seconds``.
        detail_seconds: Time spent waiting for the details of images. On accelerators, background threads compute them
            on idle cores; their time is not counted.
        pictures: The requested predictions.
    """

    positions: tuple[int, ...]
    matrices: ImageMatrices
    losses: tuple[float | None, ...]
    digests: tuple[str, ...]
    seconds: float
    detail_seconds: float
    pictures: tuple[Picture, ...]

    @property
    def loss(self) -> float | None:
        """See ``mean_loss``."""
        return mean_loss(self.losses)

    @property
    def digest(self) -> str:
        """Hash of all inputs in order."""
        fed = InputDigest()
        fed.update(self.digests)
        return fed.hexdigest()

    @property
    def images_per_second(self) -> float:
        """Throughput: images divided by seconds."""
        return len(self.matrices.names) / self.seconds


def mean_loss(losses: Sequence[float | None]) -> float | None:
    """Return the mean over images with a loss, NaN or infinite if any loss is; None if no image has one."""
    known = [loss for loss in losses if loss is not None]
    return sum(known) / len(known) if known else None


class DetailRecorder(Protocol):
    """Collects details of images, possibly in background threads; implemented by ``Details``."""

    def update(
        self, name: str, label: NDArray[np.uint8], prediction: NDArray[np.uint8], confidence: NDArray[np.float32]
    ) -> None:
        """Add an image: its (H, W) label, prediction and confidence."""

    def finish(self) -> None:
        """Wait until all images are done."""


class Scored(NamedTuple):
    """One image with its scores.

    Attributes:
        position: Index of the image in its split.
        name: The image's name.
        scores: (1, classes, H, W) float32 at the label's size, on the device.
        label: (H, W) uint8.
    """

    position: int
    name: str
    scores: Tensor
    label: Tensor


class EvaluationAccumulator:
    """Accumulates the results of images; images added together are copied from the device at once.

    Args:
        images: The number of images that will be added; a process with a small share may have none.
        classes: The number of classes.
        loss: Computed on scores at the label's size.
        keep: Positions of the images whose predictions are kept.
        details: Collects details of each image.
    """

    def __init__(
        self, images: int, classes: int, loss: nn.Module | None, keep: Collection[int], details: DetailRecorder | None
    ) -> None:
        self.classes, self.loss, self.keep, self.details = classes, loss, keep, details
        self.detail_seconds = 0.0
        self.names: list[str] = []
        self.confusion = np.zeros((images, classes, classes), np.int64)
        self.void_predicted = np.zeros((images, classes), np.int64)
        self.losses: list[float | None] = []
        self.pictures: list[Picture] = []

    def add(self, images: Sequence[Scored]) -> None:
        """Add images whose labels have the same size."""
        predictions = stacked_on_host([best_class(image.scores[0]) for image in images])
        for image, prediction in zip(images, predictions, strict=True):
            label = image.label.numpy()
            index = len(self.names)
            self.confusion[index], self.void_predicted[index] = count_pixels(
                label, prediction, num_classes=self.classes, name=image.name
            )
            if image.position in self.keep:
                self.pictures.append(Picture(image.position, image.name, prediction))
            self.names.append(image.name)
        self.losses += self._losses(images)
        if self.details is not None:
            with self.timing_details():
                sure = stacked_on_host([confidence(image.scores[0]) for image in images])
                for image, prediction, probability in zip(images, predictions, sure, strict=True):
                    self.details.update(image.name, image.label.numpy(), prediction, probability)

    def _losses(self, images: Sequence[Scored]) -> list[float | None]:
        """Return the loss of each image just added; labels are known to be in range."""
        added = self.confusion[len(self.names) - len(images) : len(self.names)]
        counted = [bool(counts.any()) for counts in added]
        if self.loss is None or not any(counted):
            return [None] * len(images)
        losses = [
            self.loss(image.scores, image.label[None].to(image.scores.device, non_blocking=True))
            for image, has_pixels in zip(images, counted, strict=True)
            if has_pixels
        ]
        known = iter(torch.stack(losses).tolist())
        return [next(known) if has_pixels else None for has_pixels in counted]

    @contextmanager
    def timing_details(self) -> Iterator[None]:
        """Add the duration of a block to ``detail_seconds``."""
        started = time.perf_counter()
        yield
        self.detail_seconds += time.perf_counter() - started

    def matrices(self) -> ImageMatrices:
        """Return the counts of each image."""
        return ImageMatrices(tuple(self.names), self.confusion, self.void_predicted)


@torch.inference_mode()
def evaluate(
    predictor: Predictor,
    loader: EvaluationLoader,
    *,
    loss: nn.Module | None = None,
    keep: Collection[int] = (),
    details: DetailRecorder | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Evaluation:
    """Evaluate a network on one split.

    Args:
        predictor: Applies the network.
        loader: The split.
        loss: Computed on scores at the label's size.
        keep: Indices of the images whose predictions are kept.
        details: Collects details of each image; waiting for it does not count in ``Evaluation.seconds``.
        progress: Called with the images done and the total.

    Raises:
        DataError: An image cannot be read or a label is out of range.
        ModelRefusal: The network cannot take the images.
    """
    positions, digests = list(loader.positions), list[str]()
    accumulator = EvaluationAccumulator(len(positions), predictor.classes, loss, keep, details)
    started = time.perf_counter()
    for batch in loader:
        _count(accumulator, predictor, batch, positions[len(digests) :])
        digests += batch.digests
        progress(len(digests), len(positions))
    if details is not None:
        with accumulator.timing_details():
            details.finish()
    seconds = time.perf_counter() - started - accumulator.detail_seconds
    return Evaluation(
        positions=tuple(positions),
        matrices=accumulator.matrices(),
        losses=tuple(accumulator.losses),
        digests=tuple(digests),
        seconds=seconds,
        detail_seconds=accumulator.detail_seconds,
        pictures=tuple(accumulator.pictures),
    )


def _count(
    accumulator: EvaluationAccumulator, predictor: Predictor, batch: EvaluationBatch, positions: Sequence[int]
) -> None:
    """Count a batch at once, or image by image if scores are resized, so that only one is in memory."""
    scores = predictor.scores(batch.images)
    each = [scores[row : row + 1] for row in range(len(scores))]
    rows = list(zip(positions, batch.names, each, batch.labels, strict=False))
    at_once = len(rows) if all(label.shape == scores.shape[-2:] for label in batch.labels) else 1
    for start in range(0, len(rows), at_once):
        accumulator.add(
            [
                Scored(position, name, resized(own, label.shape), label)
                for position, name, own, label in rows[start : start + at_once]
            ]
        )


def stacked_on_host(maps: Sequence[Tensor]) -> NDArray[Any]:
    """Stack (H, W) maps of one size to (N, H, W) and copy them from the device at once."""
    if maps[0].device.type == "cpu" and len(maps) == 1:
        return maps[0].numpy()[None]
    stacked: NDArray[Any] = torch.stack(list(maps)).cpu().numpy()
    return stacked
