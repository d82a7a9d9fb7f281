"""Looks one ahead: to know the last of some things, and to copy a batch to the device while the one before is used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

import torch

from segbench.data.loading.batch import Batch
from segbench.engine.device import ComputeConfig

T = TypeVar("T")


def with_is_last(things: Iterable[T]) -> Iterator[tuple[T, bool]]:
    """Pass things on, each with whether it is the last; the next one is taken before."""
    before: list[T] = []
    for thing in things:
        if before:
            yield before.pop(), False
        before.append(thing)
    if before:
        yield before.pop(), True


def copy_stream(arithmetic: ComputeConfig) -> torch.cuda.Stream | None:
    """Return a stream for copies beside the work; None off CUDA. Memory is kept for each stream: one does for a run."""
    if arithmetic.device.type != "cuda":
        return None
    return torch.cuda.Stream(arithmetic.device)  # type: ignore[no-untyped-call]


def prefetched(
    batches: Iterable[Batch], arithmetic: ComputeConfig, copying: torch.cuda.Stream | None
) -> Iterator[Batch]:
    """Pass batches on, on the device; on CUDA the next one is copied beside the work.

    Args:
        batches: In page-locked memory, so that no copy makes the host wait.
        arithmetic: Where they are needed, and in which layout.
        copying: The stream that copies; None off CUDA, where batches pass as they are.
    """
    if copying is None:
        yield from batches
        return

    def copied(batch: Batch) -> tuple[Batch, torch.cuda.Event]:
        with torch.cuda.stream(copying):
            labels = batch.labels.to(arithmetic.device, non_blocking=True)
            there = batch._replace(images=arithmetic.images(batch.images), labels=labels)
        return there, copying.record_event()

    for (batch, arrived), _ in with_is_last(map(copied, batches)):
        working = torch.cuda.current_stream(arithmetic.device)
        working.wait_event(arrived)
        for tensor in (batch.images, batch.labels):
            tensor.record_stream(working)  # its memory is not given away while it is worked on
        yield batch
