"""Batches for training and evaluation, the same whatever the batch size, the workers or the network."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Any, NamedTuple, Self

import torch

from segbench.data.base import SegmentationDataset
from segbench.data.batch import Batch, EvaluationBatch, FedDigest, collate_evaluation, collate_training
from segbench.data.pipeline import Pipeline, derive_seed
from segbench.data.workers import Key, Reader, Workers
from segbench.errors import DataError

__all__ = ["Batch", "EvaluationBatch", "EvaluationLoader", "FedDigest", "Share", "TrainingLoader"]


class Share(NamedTuple):
    """Which of several processes that work together a loader feeds."""

    rank: int = 0
    size: int = 1

    def of(self, count: int) -> slice:
        """Return its share of so many things in a row; shares are as equal as can be."""
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)


WHOLE = Share()


class _ShuffledKeys:
    """The batches of keys of one epoch at a time; set ``epoch``, and how many to ``skip``, before each pass."""

    def __init__(self, count: int, *, batch_size: int, seed: int, drop_last: bool, share: Share) -> None:
        self.count, self.batch_size, self.seed, self.drop_last = count, batch_size, seed, drop_last
        self.share = share
        self.epoch, self.skip = 0, 0

    def __len__(self) -> int:
        whole, rest = divmod(self.count, self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[list[Key]]:
        generator = torch.Generator().manual_seed(derive_seed(self.seed, self.epoch))
        order = torch.randperm(self.count, generator=generator).tolist()
        keys = [Key(self.epoch, index) for index in order]
        for batch in range(self.skip, len(self)):
            whole = keys[batch * self.batch_size : (batch + 1) * self.batch_size]
            yield whole[self.share.of(len(whole))]

    @property
    def least(self) -> int:
        """How many images the smallest batch of an epoch has, all shares together."""
        return min(self.batch_size, self.count - (len(self) - 1) * self.batch_size)


class _Loader:
    """What both loaders share: worker processes that live until ``close``."""

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
    """Batches of a training split; order and augmentation depend on (seed, epoch, index) only.

    Args:
        dataset: The split.
        pipeline: The training transforms.
        batch_size: Images in a batch.
        seed: The run's seed.
        drop_last: Whether an incomplete last batch is left out.
        workers: Processes that read and transform; 0 does it in this one.
        pin_memory: Whether batches lie in page-locked memory.
        share: The part of every batch that is handed out.

    Raises:
        DataError: An epoch would hold no batch, or a batch would have no image for some process.
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
        share: Share = WHOLE,
    ) -> None:
        self._order = _ShuffledKeys(len(dataset), batch_size=batch_size, seed=seed, drop_last=drop_last, share=share)
        if not len(self._order):
            raise DataError(
                f"{dataset.info.name}: the training split has {len(dataset)} images, fewer than one batch of "
                f"{batch_size}, and drop_last leaves the rest out; lower train.batch_size or set drop_last: false"
            )
        if self._order.least < share.size:
            raise DataError(
                f"{dataset.info.name}: a training batch has too few images ({self._order.least}) for {share.size} "
                "processes; raise train.batch_size, set train.drop_last: true, or take fewer processes"
            )
        reader = Reader(dataset, pipeline, seed)
        self._workers: Workers[Batch] = Workers(
            reader, self._order, collate_training, workers=workers, pin_memory=pin_memory
        )

    def __len__(self) -> int:
        return len(self._order)

    def epoch(self, epoch: int, *, skip: int = 0) -> Iterator[Batch]:
        """Yield the batches of one epoch, without the first ``skip``.

        Raises:
            DataError: A sample cannot be read or transformed, or the images of a batch differ in size.
        """
        self._order.epoch, self._order.skip = epoch, skip
        yield from self._workers.batches()


class EvaluationLoader(_Loader):
    """Batches of a test split in its own order; neighbours of one transformed size go together.

    Args:
        dataset: The split.
        pipeline: The test transforms.
        batch_size: Most images in a batch.
        workers: Processes that read and transform; 0 does it in this one.
        pin_memory: Whether images lie in page-locked memory.
        share: Which batches are handed out: every one, or every second, …

    Attributes:
        positions: Where the images that are handed out stand in the split.
    """

    def __init__(
        self,
        dataset: SegmentationDataset,
        pipeline: Pipeline,
        *,
        batch_size: int,
        workers: int = 0,
        pin_memory: bool = False,
        share: Share = WHOLE,
    ) -> None:
        self.dataset = dataset
        keys = [Key(0, index) for index in range(len(dataset))]
        chunks = [keys[start : start + batch_size] for start in range(0, len(keys), batch_size)]
        chunks = chunks[share.rank :: share.size]
        self.positions = [key.position for chunk in chunks for key in chunk]
        reader = Reader(dataset, pipeline, 0)
        self._workers: Workers[list[EvaluationBatch]] = Workers(
            reader, chunks, collate_evaluation, workers=workers, pin_memory=pin_memory
        )

    def __iter__(self) -> Iterator[EvaluationBatch]:
        for batches in self._workers.batches():
            yield from batches
