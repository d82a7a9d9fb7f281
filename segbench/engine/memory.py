"""Telling out of memory from other errors, and cutting batches into parts that fit."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from segbench.data.loader import Batch

_SIGNS = ("can't allocate memory", "out of memory", "not enough memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error means that memory ran out, on the device or here."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS)


def parts(batch: Batch, size: int | None) -> Iterator[Batch]:
    """Cut a batch into parts of at most ``size`` images; None leaves it whole."""
    if size is None or size >= len(batch.names):
        yield batch
        return
    for start in range(0, len(batch.names), size):
        chosen = slice(start, start + size)
        yield Batch(batch.names[chosen], batch.images[chosen], batch.labels[chosen], batch.digests[chosen])
