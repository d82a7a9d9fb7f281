"""Puts together what the processes of a team found in their shares of a split, as if one had seen it all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from segbench.engine.distributed import ProcessGroup
from segbench.engine.evaluation.evaluate import Evaluation, mean_loss
from segbench.results.arrays.details import ImageDetails
from segbench.results.arrays.matrices import ImageMatrices

T = TypeVar("T")


class Seen(NamedTuple):
    """What was found in a split, or in a process's share of it.

    Attributes:
        evaluation: Matrices, losses and times.
        details: What was counted beside the matrices.
        predictions: The pictures of the predictions; None where none are kept.
    """

    evaluation: Evaluation
    details: ImageDetails
    predictions: list[bytes] | None


class Summary(NamedTuple):
    """What scores of a whole split need.

    Attributes:
        matrix: The (classes, classes) confusion matrix of all its images.
        loss: The mean of their losses; None where none has one.
    """

    matrix: NDArray[np.int64]
    loss: float | None


def reduce_confusion(found: Evaluation, team: ProcessGroup) -> Summary:
    """Return the sums over a whole split, the same in all processes, from what each found in its share."""
    parts = team.all_gather((found.positions, found.losses, found.matrices.total))
    losses = {position: loss for positions, own, _ in parts for position, loss in zip(positions, own, strict=True)}
    matrices = [matrix for _, _, matrix in parts]
    return Summary(np.sum(matrices, axis=0), mean_loss([losses[position] for position in sorted(losses)]))


def gather_evaluation(seen: Seen, team: ProcessGroup) -> Seen | None:
    """Return, in the first process, what was found in a whole split; each image was seen by one process."""
    if team.size == 1:
        return seen
    parts = team.gather(seen)
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
        matrices=_matrices([part.matrices for part in parts], order),
        losses=tuple(_ordered([part.losses for part in parts], order)),
        digests=tuple(_ordered([part.digests for part in parts], order)),
        seconds=max(part.seconds for part in parts),
        looking_seconds=max(part.looking_seconds for part in parts),
        pictures=tuple(sorted(pictures, key=lambda picture: picture.index)),
    )


def _matrices(parts: Sequence[ImageMatrices], order: Sequence[int]) -> ImageMatrices:
    void = [part.void_predicted for part in parts if part.void_predicted is not None]
    return ImageMatrices(
        tuple(_ordered([part.names for part in parts], order)),
        np.concatenate([part.matrices for part in parts])[order],
        np.concatenate(void)[order] if len(void) == len(parts) else None,
    )


def _details(parts: Sequence[ImageDetails], order: Sequence[int]) -> ImageDetails:
    names = tuple(_ordered([part.names for part in parts], order))
    seen = [part for part in parts if part.names]  # of no image, no array is known
    return ImageDetails(
        names, {name: np.concatenate([part.arrays[name] for part in seen])[order] for name in seen[0].arrays}
    )


def _ordered(parts: Sequence[Sequence[T]], order: Sequence[int]) -> list[T]:
    """Return what all parts hold, one after the other, in an order."""
    together = [thing for part in parts for thing in part]
    return [together[index] for index in order]
