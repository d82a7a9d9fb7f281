"""Sets how many threads an operation of torch uses, and puts the number back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def torch_threads(number: int) -> Iterator[None]:
    """Run torch's operators in so many threads, whatever ``OMP_NUM_THREADS`` says; also a decorator.

    Costs a microsecond where the number is that already.
    """
    before = torch.get_num_threads()
    if before == number:
        yield
        return
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def single_threaded() -> Iterator[None]:
    """Run torch's operators in one thread where several would cost time, or could change results; also a decorator."""
    with torch_threads(1):
        yield
