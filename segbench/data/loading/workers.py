"""Worker processes that read and transform samples, and pass errors to the caller."""

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
    """The values that a sample's content depends on, besides the seed."""

    epoch: int
    position: int


class Reader(Dataset[Any]):
    """Reads, transforms and hashes one sample in one thread, so results do not depend on the process."""

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
    """A DataLoader over batches of keys; started on first use, raises the workers' errors."""

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
            for process in processes:  # workers ignore SIGTERM; ``kill`` has no effect on ended ones
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
            generator=torch.Generator(),  # else the DataLoader uses the global generator
            **self._options,
        )


def _start_worker(worker: int) -> None:
    """Use one thread, and ignore Ctrl-C, SIGTERM and a closed terminal, which the parent handles."""
    del worker
    torch.set_num_threads(1)
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
