"""Gradient accumulation: how many batches make an optimizer step, and the micro-batches that they are cut into."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from segbench.config.suite import Train
from segbench.data.loading.batch import Batch, check_sizes, cut
from segbench.engine.distributed import ProcessGroup


class MicroBatch(NamedTuple):
    """What goes through the network at once.

    Attributes:
        batch: The images.
        weight: Of its mean loss in the step: its share of the labelled pixels of a batch of the recipe's size, so that
            means over pixels do not depend on how a batch was cut.
        batch_fraction: Size of the batch that it completes, in batches of the recipe's size; 0 for all but the last
            micro-batch of a batch.
    """

    batch: Batch
    weight: float
    batch_fraction: float


def micro_batches(batch: Batch, *, images: int | None, batch_size: int, team: ProcessGroup) -> Iterator[MicroBatch]:
    """Cut one batch; all processes' micro-batches of it together weigh as much as it has images.

    Args:
        batch: This process's share of the batch.
        images: At most so many images in a micro-batch; None leaves the batch whole.
        batch_size: Images of a batch as the recipe has it.
        team: The processes that train together.

    Raises:
        DataError: The processes' images differ in size.
    """
    pieces = list(cut(batch, images))
    if len(pieces) == team.size == 1:
        fraction = len(batch.names) / batch_size
        yield MicroBatch(batch, fraction, fraction)
        return
    total_images, total_pixels = batch_totals(batch, team)
    fraction = total_images / batch_size
    for number, piece in enumerate(pieces, 1):
        share = sum(piece.labelled) / total_pixels if total_pixels else len(piece.names) / total_images
        yield MicroBatch(piece, fraction * share, fraction if number == len(pieces) else 0.0)


def batch_totals(batch: Batch, team: ProcessGroup) -> tuple[int, int]:
    """Return the images, and the labelled pixels, of all processes' shares of a batch.

    Raises:
        DataError: Their images differ in size, in all processes.
    """
    rows = team.all_gather_ints(len(batch.names), sum(batch.labelled), *batch.labels.shape[1:])
    check_sizes({(height, width): f"process {rank}" for rank, (_, _, height, width) in enumerate(rows)})
    return sum(row[0] for row in rows), sum(row[1] for row in rows)


def batches_per_step(recipe: Train, batches: int) -> int:
    """Return how many batches make one optimizer step, when an epoch has so many."""
    return batches if recipe.accumulate == "epoch" else recipe.accumulate


def steps_per_epoch(recipe: Train, batches: int) -> int:
    """Return the optimizer steps of an epoch of so many batches; the last may be of fewer."""
    return math.ceil(batches / batches_per_step(recipe, batches))


def total_steps(recipe: Train, batches: int) -> int:
    """Return the optimizer steps of the whole training, with epochs of so many batches."""
    return recipe.steps or (recipe.epochs or 0) * steps_per_epoch(recipe, batches)
