"""Gradient accumulation: batches per optimizer step, and splitting batches into micro-batches."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from segbench.config.suite import Train
from segbench.data.loading.batch import Batch, check_sizes, cut
from segbench.engine.distributed import ProcessGroup


class MicroBatch(NamedTuple):
    """The images of one forward pass.

    Attributes:
        batch: The images.
        weight: Weight of its mean loss in the step: its fraction of the batch's labelled pixels, relative to the
            recipe's batch size. So means over pixels do not depend on how the batch is split.
        batch_fraction: Size of the completed batch relative to ``batch_size``; 0 for all but the last micro-batch of a
            batch.
    """

    batch: Batch
    weight: float
    batch_fraction: float


def micro_batches(batch: Batch, *, images: int | None, batch_size: int, group: ProcessGroup) -> Iterator[MicroBatch]:
    """Split a batch into micro-batches; over all processes, their weights sum to the batch's relative size.

    Args:
        batch: This process's share of the batch.
        images: Largest number of images in a micro-batch; None does not split the batch.
        batch_size: The recipe's batch size.
        group: The processes that train together.

    Raises:
        DataError: The processes' images differ in size.
    """
    pieces = list(cut(batch, images))
    if len(pieces) == group.size == 1:
        fraction = len(batch.names) / batch_size
        yield MicroBatch(batch, fraction, fraction)
        return
    total_images, total_pixels = batch_totals(batch, group)
    fraction = total_images / batch_size
    for number, piece in enumerate(pieces, 1):
        share = sum(piece.labelled) / total_pixels if total_pixels else len(piece.names) / total_images
        yield MicroBatch(piece, fraction * share, fraction if number == len(pieces) else 0.0)


def batch_totals(batch: Batch, group: ProcessGroup) -> tuple[int, int]:
    """Return the numbers of images and of labelled pixels in a batch, over all processes.

    Raises:
        DataError: The processes' images differ in size; raised in all processes.
    """
    rows = group.all_gather_ints(len(batch.names), sum(batch.labelled), *batch.labels.shape[1:])
    check_sizes({(height, width): f"process {rank}" for rank, (_, _, height, width) in enumerate(rows)})
    return sum(row[0] for row in rows), sum(row[1] for row in rows)


def batches_per_step(recipe: Train, batches: int) -> int:
    """Return the batches per optimizer step, given the batches per epoch."""
    return batches if recipe.accumulate == "epoch" else recipe.accumulate


def steps_per_epoch(recipe: Train, batches: int) -> int:
    """Return the optimizer steps per epoch, given the batches per epoch; the last step may have fewer batches."""
    return math.ceil(batches / batches_per_step(recipe, batches))


def total_steps(recipe: Train, batches: int) -> int:
    """Return the optimizer steps of the whole training, given the batches per epoch."""
    return recipe.steps or (recipe.epochs or 0) * steps_per_epoch(recipe, batches)
