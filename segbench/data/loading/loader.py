"""Loaders of batches; samples do not depend on batch size, workers or network."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Any, NamedTuple, Self

import torch

from segbench.data.base import SegmentationDataset
from segbench.data.loading.batch import Batch, EvaluationBatch, InputDigest, collate_evaluation, collate_training
from segbench.data.loading.pipeline import Pipeline, derive_seed
from segbench.data.loading.workers import Key, Reader, Workers
from segbench.errors import DataError

__all__ = ["Batch", "EvaluationBatch", "EvaluationLoader", "InputDigest", "Shard", "TrainingLoader"]


class Shard(NamedTuple):
    """The part of the data for one process of a group."""

    rank: int = 0
    size: int = 1

    def of(self, count: int) -> slice:
        """Return the slice of this shard for a number of items; shards are nearly equal."""
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)


WHOLE = Shard()


class _Place(NamedTuple):
    """Position of a batch in the training order.

    Attributes:
        epoch: The epoch's number.
        batch: The batch's number in its epoch, from 0.
    """

    epoch: int
    batch: int


class _ShuffledKeys:
    """Batches of sample keys, epoch by epoch; endless without a last epoch.

    Attributes:
        start: The first batch of the next pass; set before iterating.
        batches: Number of batches per epoch.
    """

    def __init__(
        self, count: int, *, batch_size: int, seed: int, drop_last: bool, shard: Shard, last_epoch: int | None
    ) -> None:
        self._count, self._batch_size, self._seed, self._shard = count, batch_size, seed, shard
        self._last_epoch = last_epoch
        self.start = _Place(0, 0)
        whole, rest = divmod(count, batch_size)
        self.batches = whole + (rest > 0 and not drop_last)

    def __iter__(self) -> Iterator[list[Key]]:
        place: _Place | None = self.start
        while place is not None:
            keys = self._keys(place.epoch)
            for batch in range(place.batch, self.batches):
                whole = keys[batch * self._batch_size : (batch + 1) * self._batch_size]
                yield whole[self._shard.of(len(whole))]
            place = self._next_epoch(place.epoch)

    def after(self, place: _Place) -> _Place | None:
        """Return the next position; None at the end."""
        if place.batch + 1 < self.batches:
            return _Place(place.epoch, place.batch + 1)
        return self._next_epoch(place.epoch)

    @property
    def least(self) -> int:
        """Number of images in the smallest batch of an epoch, over all shards."""
        return min(self._batch_size, self._count - (self.batches - 1) * self._batch_size)

    def _keys(self, epoch: int) -> list[Key]:
        generator = torch.Generator().manual_seed(derive_seed(self._seed, epoch))
        return [Key(epoch, index) for index in torch.randperm(self._count, generator=generator).tolist()]

    def _next_epoch(self, epoch: int) -> _Place | None:
        ended = self._last_epoch is not None and epoch >= self._last_epoch
        return None if ended else _Place(epoch + 1, 0)


class _Loader:
    """Base class of both loaders; worker processes live until ``close``."""

    _workers: Workers[Any]

    def close(self) -> None:
        """End the workers."""
        self._workers.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class TrainingLoader(_Loader):
    """Loads batches of a training split; order and augmentation depend only on (seed, epoch, index).

    Workers run on between epochs: during the last batches of an epoch they prepare the first of the next.

    Args:
        dataset: The split.
        pipeline: The training transforms.
        batch_size: Images per batch.
        seed: The run's seed.
        drop_last: Whether to skip an incomplete last batch.
        workers: Number of loading processes; 0 loads in this process.
        pin_memory: Whether to put batches into pinned memory.
        shard: The part of every batch to load.
        last_epoch: Workers prefetch no batches after this epoch; None sets no limit.

    Raises:
        DataError: An epoch would have no batch, or a batch would have no image for some process.
    """

    def __init__(
        self,
        dataset: SegmentationDataset,
        pipeline: Pipeline,
        *,
        batch_size: int,
        seed: int,
        drop_last: bool = True,
        workers: int = 0,
        pin_memory: bool = False,
        shard: Shard = WHOLE,
        last_epoch: int | None = None,
    ) -> None:
        self._order = _ShuffledKeys(
            len(dataset), batch_size=batch_size, seed=seed, drop_last=drop_last, shard=shard, last_epoch=last_epoch
        )
        if not self._order.batches:
            raise DataError(
                f"{dataset.info.name}: the training split has {len(dataset)} images, fewer than one batch of "
                f"{batch_size}, and drop_last leaves the rest out; lower train.batch_size or set drop_last: false"
            )
        if self._order.least < shard.size:
            raise DataError(
                f"{dataset.info.name}: a training batch has too few images ({self._order.least}) for {shard.size} "
                "processes; raise train.batch_size, set train.drop_last: true, or take fewer processes"
            )
        reader = Reader(dataset, pipeline, seed)
        self._workers: Workers[Batch] = Workers(
            reader, self._order, collate_training, workers=workers, pin_memory=pin_memory
        )

        self._stream: Iterator[Batch] = iter(())
        self._next: _Place | None = None

    def __len__(self) -> int:
        return self._order.batches

    def epoch(self, epoch: int, *, skip: int = 0) -> Iterator[Batch]:
        """Yield the batches of one epoch, without the first ``skip``.

        Epochs may be requested in any order. Batches are prefetched only if an epoch follows the last one or continues
        where it was left.

        Raises:
            DataError: A sample cannot be read or transformed, or the images of a batch differ in size.
        """
        for number in range(skip, len(self)):
            yield self._batch(_Place(epoch, number))

    def close(self) -> None:
        """End the workers and discard prefetched batches."""
        self._stream, self._next = iter(()), None
        super().close()

    def _batch(self, place: _Place) -> Batch:
        """Return the batch at a position: the next of the stream, or the first of a new stream."""
        if place != self._next:
            self._order.start = place
            self._stream = self._workers.batches()
        self._next = None  # stays None after an error, which ends the stream
        batch = next(self._stream)
        self._next = self._order.after(place)
        return batch


class EvaluationLoader(_Loader):
    """Loads batches of a test split in order; consecutive images of equal transformed size form a batch.

    Args:
        dataset: The split.
        pipeline: The test transforms.
        batch_size: Largest number of images in a batch.
        workers: Number of loading processes; 0 loads in this process.
        pin_memory: Whether to put images into pinned memory.
        shard: Which batches to load: all, or every second, …

    Attributes:
        positions: Indices of the loaded images in the split.
    """

    def __init__(
        self,
        dataset: SegmentationDataset,
        pipeline: Pipeline,
        *,
        batch_size: int,
        workers: int = 0,
        pin_memory: bool = False,
        shard: Shard = WHOLE,
    ) -> None:
        self.dataset = dataset
        keys = [Key(0, index) for index in range(len(dataset))]
        chunks = [keys[start : start + batch_size] for start in range(0, len(keys), batch_size)]
        chunks = chunks[shard.rank :: shard.size]
        self.positions = [key.position for chunk in chunks for key in chunk]
        reader = Reader(dataset, pipeline, 0)
        self._workers: Workers[list[EvaluationBatch]] = Workers(
            reader, chunks, collate_evaluation, workers=workers, pin_memory=pin_memory
        )

    def __iter__(self) -> Iterator[EvaluationBatch]:
        for batches in self._workers.batches():
            yield from batches
