"""One pass over a split: a confusion matrix for every image, the loss, and how fast it went."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from segbench.data.loader import EvaluationBatch, EvaluationLoader, FedDigest
from segbench.engine.predict import Predictor, class_map, resized
from segbench.metrics.confusion import confusion_matrix
from segbench.results.matrices import ImageMatrices


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
        matrices: One confusion matrix for each image.
        losses: The loss of each image; None without a loss or a labelled pixel.
        digests: Hash of what was fed of each image.
        seconds: Time of the pass, data loading included, but not what looking closer took.
        looking_seconds: That.
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
        fed = FedDigest()
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
    """Looks closer at one image; see ``segbench.engine.details``."""

    def __call__(self, name: str, scores: Tensor, label: NDArray[np.uint8], prediction: NDArray[np.uint8]) -> None:
        """Take (1, classes, H, W) scores, the (H, W) label and the (H, W) prediction."""


class Tally:
    """Collects one image after another."""

    def __init__(self, classes: int, loss: nn.Module | None, keep: Collection[int], look: Look | None) -> None:
        self.classes, self.loss, self.keep, self.look = classes, loss, keep, look
        self.looking_seconds = 0.0
        self.names: list[str] = []
        self.matrices: list[NDArray[np.int64]] = []
        self.losses: list[float | None] = []
        self.pictures: list[Picture] = []

    def add(self, position: int, name: str, scores: Tensor, label: Tensor) -> None:
        """Count one image: (1, classes, h, w) scores are resized to the (H, W) label, then compared."""
        scores = resized(scores, label.shape)
        prediction = class_map(scores[0])
        matrix = confusion_matrix(label.numpy(), prediction, num_classes=self.classes, name=name)
        self.losses.append(
            float(self.loss(scores, label[None].to(scores.device))) if self.loss is not None and matrix.any() else None
        )
        if position in self.keep:
            self.pictures.append(Picture(position, name, prediction))
        if self.look is not None:
            started = time.perf_counter()
            self.look(name, scores, label.numpy(), prediction)
            self.looking_seconds += time.perf_counter() - started
        self.names.append(name)
        self.matrices.append(matrix)

    def stacked(self) -> NDArray[np.int64]:
        """Return the (N, classes, classes) matrices; a process with a share of few images may have seen none."""
        none = np.zeros((0, self.classes, self.classes), np.int64)
        return np.stack(self.matrices) if self.matrices else none


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
        look: Looks closer at each image; its time is left out of ``Evaluation.seconds``.
        progress: Called with images done and images in all.

    Raises:
        DataError: An image cannot be read or a label is out of range.
        ModelRefusal: The network cannot take the images.
    """
    tally = Tally(predictor.classes, loss, keep, look)
    positions, digests = list(loader.positions), list[str]()
    started = time.perf_counter()
    for batch in loader:
        _count(tally, predictor, batch, positions[len(digests) :])
        digests += batch.digests
        progress(len(digests), len(positions))
    seconds = time.perf_counter() - started - tally.looking_seconds
    return Evaluation(
        positions=tuple(positions),
        matrices=ImageMatrices(tuple(tally.names), tally.stacked()),
        losses=tuple(tally.losses),
        digests=tuple(digests),
        seconds=seconds,
        looking_seconds=tally.looking_seconds,
        pictures=tuple(tally.pictures),
    )


def _count(tally: Tally, predictor: Predictor, batch: EvaluationBatch, positions: Sequence[int]) -> None:
    scores = predictor.scores(batch.images)
    for row, (position, name, label) in enumerate(zip(positions, batch.names, batch.labels, strict=False)):
        tally.add(position, name, scores[row : row + 1], label)
