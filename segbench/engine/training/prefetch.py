"""Prefetches batches: copies the next batch to the device while the current one is used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

import torch

from segbench.data.loading.batch import Batch
from segbench.engine.device import ComputeConfig

T = TypeVar("T")


def with_is_last(things: Iterable[T]) -> Iterator[tuple[T, bool]]:
    """Yield items with a flag whether each is the last; reads one item ahead."""
    before: list[T] = []
    for thing in things:
        if before:
            yield before.pop(), False
        before.append(thing)
    if before:
        yield before.pop(), True


def copy_stream(compute: ComputeConfig) -> torch.cuda.Stream | None:
    """Return a CUDA stream for background copies, None without CUDA; one per run, since each stream caches memory."""
    if compute.device.type != "cuda":
        return None
    return torch.cuda.Stream(compute.device)  # type: ignore[no-untyped-call]


def prefetched(batches: Iterable[Batch], compute: ComputeConfig, copying: torch.cuda.Stream | None) -> Iterator[Batch]:
    """Yield batches on the device; on CUDA the next batch is copied in the background.

    Args:
        batches: The batches in pinned memory, so that copies are asynchronous.
        compute: The target device and memory layout.
        copying: The stream for copies; None without CUDA, then batches are not copied.
    """
    if copying is None:
        yield from batches
        return

    def copied(batch: Batch) -> tuple[Batch, torch.cuda.Event]:
        with torch.cuda.stream(copying):
            labels = batch.labels.to(compute.device, non_blocking=True)
            there = batch._replace(images=compute.images(batch.images), labels=labels)
        return there, copying.record_event()

    for (batch, arrived), _ in with_is_last(map(copied, batches)):
        working = torch.cuda.current_stream(compute.device)
        working.wait_event(arrived)
        for tensor in (batch.images, batch.labels):
            tensor.record_stream(working)  # keeps its memory from being reused while it is in use
        yield batch
