"""Processes that read and transform samples, and hand errors on as they were raised."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset

from segbench.data.base import SegmentationDataset
from segbench.data.loading.batch import FailedSample, LoadedSample, sample_digest
from segbench.data.loading.pipeline import Pipeline
from segbench.data.loading.threads import single_threaded
from segbench.errors import DataError

B = TypeVar("B")


class Key(NamedTuple):
    """What a sample's content depends on, beside the seed."""

    epoch: int
    position: int


class Reader(Dataset[Any]):
    """Reads, transforms and digests one sample in one thread, so that results cannot depend on where it happens."""

    def __init__(self, dataset: SegmentationDataset, pipeline: Pipeline, seed: int) -> None:
        self.dataset, self.pipeline, self.seed = dataset, pipeline, seed

    def __getitem__(self, key: Key) -> LoadedSample | FailedSample:
        try:
            sample = self.dataset.read(key.position)
            with single_threaded():
                prepared = self.pipeline(sample, (self.seed, key.epoch, key.position))
        except DataError as error:
            return FailedSample(error)
        return LoadedSample(sample.name, prepared, sample_digest(sample.name, prepared))


class Workers(Generic[B]):
    """A DataLoader over batches of keys, started on first use, that hands errors on as they were raised."""

    def __init__(
        self,
        reader: Reader,
        keys: Iterable[list[Key]],
        collate: Callable[[list[LoadedSample | FailedSample]], B | FailedSample],
        *,
        workers: int,
        pin_memory: bool,
    ) -> None:
        self._reader, self._keys, self._collate = reader, keys, collate
        self._options: dict[str, Any] = {"num_workers": workers, "pin_memory": pin_memory}
        self._loader: DataLoader[Any] | None = None

    def batches(self) -> Iterator[B]:
        """Yield every batch of one pass over the keys.

        Raises:
            DataError: A sample cannot be read, or a worker died.
        """
        if self._loader is None:
            self._loader = self._start()
        try:
            for batch in self._loader:
                if isinstance(batch, FailedSample):
                    raise batch.error
                yield batch
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            raise DataError(
                f"a worker process that reads images died ({str(error).partition(chr(10))[0]}); there may be too "
                "little memory or shared memory (/dev/shm): lower loader.workers, 0 needs none"
            ) from error

    def close(self) -> None:
        """End the processes."""
        running = getattr(self._loader, "_iterator", None)
        if running is not None:
            processes = list(getattr(running, "_workers", []))
            running._shutdown_workers()
            for process in processes:  # which heed no SIGTERM; ``kill`` does nothing to those that have ended
                process.kill()
        self._loader = None

    def _start(self) -> DataLoader[Any]:
        self._reader.dataset.prepare()
        return DataLoader(
            self._reader,
            batch_sampler=self._keys,
            collate_fn=self._collate,
            worker_init_fn=_start_worker,
            persistent_workers=self._options["num_workers"] > 0,
            generator=torch.Generator(),  # else the DataLoader draws from the global one
            **self._options,
        )


def _start_worker(worker: int) -> None:
    """Keep to one thread, and leave Ctrl-C and SIGTERM, which may reach all processes, to the parent."""
    del worker
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
