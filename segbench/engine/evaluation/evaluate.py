"""One pass over a split: a confusion matrix for every image, the loss, and how fast it went."""

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
from segbench.metrics.confusion import PixelCounts, count_pixels
from segbench.results.arrays.matrices import ImageMatrices


@dataclass(frozen=True)
class Picture:
    """The prediction for one image that is to be shown.

    Attributes:
        index: The image's position in its split.
        name: The image's name.
        prediction: (H, W) uint8 class indices at the label's size.
    """

    index: int
    name: str
    prediction: NDArray[np.uint8]


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Attributes:
        positions: Where the images stand in the split.
        matrices: One confusion matrix for each image, with its void row.
        losses: The loss of each image; None without a loss or a labelled pixel.
        digests: Hash of what was fed of each image.
        seconds: Time of the pass, data loading included, without ``looking_seconds``.
        looking_seconds: Time that the pass waited for the closer look at images. On accelerators, threads look while
            the pass goes on; their work is not counted, as it runs on cores that the pass leaves idle.
        pictures: The predictions that were asked for.
    """

    positions: tuple[int, ...]
    matrices: ImageMatrices
    losses: tuple[float | None, ...]
    digests: tuple[str, ...]
    seconds: float
    looking_seconds: float
    pictures: tuple[Picture, ...]

    @property
    def loss(self) -> float | None:
        """See ``mean_loss``."""
        return mean_loss(self.losses)

    @property
    def digest(self) -> str:
        """Hash of what was fed, in order."""
        fed = InputDigest()
        fed.update(self.digests)
        return fed.hexdigest()

    @property
    def images_per_second(self) -> float:
        """Images over seconds."""
        return len(self.matrices.names) / self.seconds


def mean_loss(losses: Sequence[float | None]) -> float | None:
    """Return the mean over images that have a loss, NaN or infinite if it is so for any; None where none has."""
    known = [loss for loss in losses if loss is not None]
    return sum(known) / len(known) if known else None


class Look(Protocol):
    """Looks closer at one image after the other, perhaps beside the evaluation; ``details`` has what there is."""

    def look(
        self, name: str, label: NDArray[np.uint8], prediction: NDArray[np.uint8], confidence: NDArray[np.float32]
    ) -> None:
        """Take an image's (H, W) label and prediction, and the probability of what is predicted."""

    def finish(self) -> None:
        """Wait until all images have been looked at."""


class Scored(NamedTuple):
    """One image with its scores.

    Attributes:
        position: The image's position in its split.
        name: The image's name.
        scores: (1, classes, H, W) float32 at the label's size, on the device.
        label: (H, W) uint8.
    """

    position: int
    name: str
    scores: Tensor
    label: Tensor


class EvaluationAccumulator:
    """Collects images; those that are given together come from the device by one copy."""

    def __init__(self, classes: int, loss: nn.Module | None, keep: Collection[int], look: Look | None) -> None:
        self.classes, self.loss, self.keep, self.look = classes, loss, keep, look
        self.looking_seconds = 0.0
        self.names: list[str] = []
        self.counts: list[PixelCounts] = []
        self.losses: list[float | None] = []
        self.pictures: list[Picture] = []

    def add(self, images: Sequence[Scored]) -> None:
        """Count images whose labels have one size."""
        predictions = stacked_on_host([best_class(image.scores[0]) for image in images])
        for image, prediction in zip(images, predictions, strict=True):
            label = image.label.numpy()
            counts = count_pixels(label, prediction, num_classes=self.classes, name=image.name)
            if image.position in self.keep:
                self.pictures.append(Picture(image.position, image.name, prediction))
            self.names.append(image.name)
            self.counts.append(counts)
        self.losses += self._losses(images)
        if self.look is not None:
            with self.looking():
                sure = stacked_on_host([confidence(image.scores[0]) for image in images])
                for image, prediction, probability in zip(images, predictions, sure, strict=True):
                    self.look.look(image.name, image.label.numpy(), prediction, probability)

    def _losses(self, images: Sequence[Scored]) -> list[float | None]:
        """Return the loss of each image that was just counted; labels are known to be in range."""
        counted = [bool(counts.confusion.any()) for counts in self.counts[len(self.counts) - len(images) :]]
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
    def looking(self) -> Iterator[None]:
        """Count the time of a block as time for looking closer."""
        started = time.perf_counter()
        yield
        self.looking_seconds += time.perf_counter() - started

    def matrices(self) -> ImageMatrices:
        """Return what was counted of each image; a process with a share of few images may have seen none."""
        matrices = np.zeros((len(self.counts), self.classes, self.classes), np.int64)
        void_predicted = np.zeros((len(self.counts), self.classes), np.int64)
        for index, counts in enumerate(self.counts):
            matrices[index], void_predicted[index] = counts
        return ImageMatrices(tuple(self.names), matrices, void_predicted)


@torch.inference_mode()
def evaluate(
    predictor: Predictor,
    loader: EvaluationLoader,
    *,
    loss: nn.Module | None = None,
    keep: Collection[int] = (),
    look: Look | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Evaluation:
    """Evaluate a network on one split.

    Args:
        predictor: The network and how it is applied.
        loader: The split.
        loss: Computed on scores at the label's size.
        keep: Positions of the images whose predictions are kept.
        look: Looks closer at each image; the time that the pass waits for it is left out of ``Evaluation.seconds``.
        progress: Called with images done and images in all.

    Raises:
        DataError: An image cannot be read or a label is out of range.
        ModelRefusal: The network cannot take the images.
    """
    tally = EvaluationAccumulator(predictor.classes, loss, keep, look)
    positions, digests = list(loader.positions), list[str]()
    started = time.perf_counter()
    for batch in loader:
        _count(tally, predictor, batch, positions[len(digests) :])
        digests += batch.digests
        progress(len(digests), len(positions))
    if look is not None:
        with tally.looking():
            look.finish()
    seconds = time.perf_counter() - started - tally.looking_seconds
    return Evaluation(
        positions=tuple(positions),
        matrices=tally.matrices(),
        losses=tuple(tally.losses),
        digests=tuple(digests),
        seconds=seconds,
        looking_seconds=tally.looking_seconds,
        pictures=tuple(tally.pictures),
    )


def _count(
    tally: EvaluationAccumulator, predictor: Predictor, batch: EvaluationBatch, positions: Sequence[int]
) -> None:
    """Count a batch at once, or image by image where scores are resized: one is then in memory at a time."""
    scores = predictor.scores(batch.images)
    each = [scores[row : row + 1] for row in range(len(scores))]
    rows = list(zip(positions, batch.names, each, batch.labels, strict=False))
    at_once = len(rows) if all(label.shape == scores.shape[-2:] for label in batch.labels) else 1
    for start in range(0, len(rows), at_once):
        tally.add(
            [
                Scored(position, name, resized(own, label.shape), label)
                for position, name, own, label in rows[start : start + at_once]
            ]
        )


def stacked_on_host(maps: Sequence[Tensor]) -> NDArray[Any]:
    """Return (H, W) maps of one size as (N, H, W), brought from the device by one copy."""
    if maps[0].device.type == "cpu" and len(maps) == 1:
        return maps[0].numpy()[None]
    stacked: NDArray[Any] = torch.stack(list(maps)).cpu().numpy()
    return stacked
