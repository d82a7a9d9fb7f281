"""Gathers the evaluation results of all processes, each of which evaluated a shard of a split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from segbench.engine.distributed import ProcessGroup
from segbench.engine.evaluation.evaluate import Evaluation, mean_loss
from segbench.results.arrays.details import ImageDetails
from segbench.results.arrays.matrices import joined

T = TypeVar("T")


class Seen(NamedTuple):
    """Evaluation results of a split, or of a process's shard of it.

    Attributes:
        evaluation: Matrices, losses and times.
        details: Further counts of each image.
        predictions: The predictions as PNGs; None if they are not kept.
    """

    evaluation: Evaluation
    details: ImageDetails
    predictions: list[bytes] | None


class Summary(NamedTuple):
    """The data that scores of a whole split are computed from.

    Attributes:
        matrix: The (classes, classes) confusion matrix of all images.
        loss: The mean loss of the images; None if no image has one.
    """

    matrix: NDArray[np.int64]
    loss: float | None


def reduce_confusion(found: Evaluation, group: ProcessGroup) -> Summary:
    """Sum the results of all processes' shards; all processes get the same result."""
    parts = group.all_gather((found.positions, found.losses, found.matrices.total))
    losses = {position: loss for positions, own, _ in parts for position, loss in zip(positions, own, strict=True)}
    matrices = [matrix for _, _, matrix in parts]
    return Summary(np.sum(matrices, axis=0), mean_loss([losses[position] for position in sorted(losses)]))


def gather_evaluation(seen: Seen, group: ProcessGroup) -> Seen | None:
    """Gather the results of a whole split in the first process; each image was evaluated by one process."""
    if group.size == 1:
        return seen
    parts = group.gather(seen)
    if parts is None:
        return None
    positions = [position for part in parts for position in part.evaluation.positions]
    order = [int(index) for index in np.argsort(positions)]
    return Seen(
        _evaluation([part.evaluation for part in parts], order),
        _details([part.details for part in parts], order),
        None if seen.predictions is None else _ordered([part.predictions or [] for part in parts], order),
    )


def _evaluation(parts: Sequence[Evaluation], order: Sequence[int]) -> Evaluation:
    pictures = [picture for part in parts for picture in part.pictures]
    return Evaluation(
        positions=tuple(_ordered([part.positions for part in parts], order)),
        matrices=joined([part.matrices for part in parts]).at(order),
        losses=tuple(_ordered([part.losses for part in parts], order)),
        digests=tuple(_ordered([part.digests for part in parts], order)),
        seconds=max(part.seconds for part in parts),
        detail_seconds=max(part.detail_seconds for part in parts),
        pictures=tuple(sorted(pictures, key=lambda picture: picture.index)),
    )


def _details(parts: Sequence[ImageDetails], order: Sequence[int]) -> ImageDetails:
    names = tuple(_ordered([part.names for part in parts], order))
    seen = [part for part in parts if part.names]  # without images, the names of the arrays are not known
    return ImageDetails(
        names, {name: np.concatenate([part.arrays[name] for part in seen])[order] for name in seen[0].arrays}
    )


def _ordered(parts: Sequence[Sequence[T]], order: Sequence[int]) -> list[T]:
    """Concatenate all parts and put the result in a given order."""
    together = [thing for part in parts for thing in part]
    return [together[index] for index in order]
