"""Background threads of a run: calls return results in order, and only few are pending at any time."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, Self, TypeVar

import torch

from segbench.engine.concurrency import usable_cores
from segbench.engine.distributed import ProcessGroup

T = TypeVar("T")

MOST_THREADS = 8
"""Largest number of threads; more would wait for the GIL and for memory."""

CALLS_A_THREAD = 2
"""Largest number of pending calls per thread; each keeps its data in memory."""


@dataclass(frozen=True)
class Threads:
    """The number of background threads of a run.

    Attributes:
        count: Number of threads; with one, calls are made in the run's own thread.
        in_background: Whether they run in parallel with the run. With an accelerator, the run leaves its cores to them.
            On the CPU, the run needs all cores itself, so run and threads alternate.
    """

    count: int = 1
    in_background: bool = False


INLINE = Threads()


def threads_of_run(device: torch.device, group: ProcessGroup, *, workers: int, cores: int | None = None) -> Threads:
    """Return the background threads of a run (or of one of its processes); results do not depend on them.

    Args:
        device: The device of the network.
        group: The processes of the run.
        workers: Number of data loading processes.
        cores: Cores reserved for the run; default: all that this process may use, divided among torchrun's processes.
    """
    if cores is None:
        cores = usable_cores()
    if group.size > 1:
        cores = usable_cores() // int(os.environ.get("LOCAL_WORLD_SIZE", group.size))
    if device.type == "cpu" or cores < 2:
        return Threads(max(1, min(cores, MOST_THREADS)))
    return Threads(max(1, min(cores - 1 - workers, MOST_THREADS)), in_background=True)


class OrderedCalls(Generic[T]):
    """Makes calls in threads and yields their results in the order of the calls."""

    def __init__(self, threads: Threads) -> None:
        self._in_background, self._most = threads.in_background, CALLS_A_THREAD * threads.count
        self._executor = ThreadPoolExecutor(threads.count) if threads.in_background or threads.count > 1 else None
        self._waiting: list[Callable[[], T]] = []
        self._running: deque[Future[T]] = deque()

    def add(self, call: Callable[[], T]) -> Iterator[T]:
        """Add a call; yield results until there is room for it.

        Raises:
            Exception: The error of a call.
        """
        if self._executor is None:
            yield call()
            return
        self._waiting.append(call)
        if self._in_background:
            self._start()
            yield from self._results(self._most - 1)
        elif len(self._waiting) == self._most:
            yield from self.finish()

    def finish(self) -> Iterator[T]:
        """Yield the results of all pending calls."""
        self._start()
        yield from self._results(0)

    def close(self) -> None:
        """End the threads; drops calls that have not started."""
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)

    def _start(self) -> None:
        if self._executor is not None:
            self._running.extend(map(self._executor.submit, self._waiting))
        self._waiting.clear()

    def _results(self, left: int) -> Iterator[T]:
        """Yield the results of the first calls until a number of calls is left."""
        while len(self._running) > left:
            yield self._running.popleft().result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
