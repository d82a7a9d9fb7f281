"""Sets the number of threads of torch's operators temporarily."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def torch_threads(number: int) -> Iterator[None]:
    """Set the threads of torch's operators, overriding ``OMP_NUM_THREADS``; also a decorator.

    Takes a microsecond if the number is already set.
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
    """Run torch's operators in one thread, where more would be slower or could change results; also a decorator."""
    with torch_threads(1):
        yield
