"""Threads beside the run's own: calls whose results come back in order, with few of them waiting at any time."""

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
"""More would wait for the interpreter's lock and for memory."""

CALLS_A_THREAD = 2
"""Calls for each thread that are kept at most, with what they hold in memory."""


@dataclass(frozen=True)
class Threads:
    """The threads that a run has for what it need not wait for.

    Attributes:
        count: How many; with one, calls are made in the run's own thread.
        beside: Whether they work while the run goes on: on an accelerator it leaves them its cores. On the processor
            the run needs all cores itself, so the threads take turns with it, and neither slows the other down.
    """

    count: int = 1
    beside: bool = False


INLINE = Threads()


def threads_of_run(device: torch.device, team: ProcessGroup, *, workers: int, cores: int | None = None) -> Threads:
    """Return the threads of a run, or of one of the processes that do it together; no result depends on them.

    Args:
        device: Where the network computes.
        team: The processes that do the run.
        workers: Processes that load images meanwhile.
        cores: Cores that are the run's own; by default all that this process may use, which torchrun's processes
            share.
    """
    if cores is None:
        cores = usable_cores()
    if team.size > 1:
        cores = usable_cores() // int(os.environ.get("LOCAL_WORLD_SIZE", team.size))
    if device.type == "cpu" or cores < 2:
        return Threads(max(1, min(cores, MOST_THREADS)))
    return Threads(max(1, min(cores - 1 - workers, MOST_THREADS)), beside=True)


class OrderedCalls(Generic[T]):
    """Makes calls in threads and gives their results in the order of the calls."""

    def __init__(self, threads: Threads) -> None:
        self._beside, self._most = threads.beside, CALLS_A_THREAD * threads.count
        self._executor = ThreadPoolExecutor(threads.count) if threads.beside or threads.count > 1 else None
        self._waiting: list[Callable[[], T]] = []
        self._running: deque[Future[T]] = deque()

    def add(self, call: Callable[[], T]) -> Iterator[T]:
        """Take a call; yield what has to be there before there is room for the next.

        Raises:
            Exception: What a call raised.
        """
        if self._executor is None:
            yield call()
            return
        self._waiting.append(call)
        if self._beside:
            self._start()
            yield from self._results(self._most - 1)
        elif len(self._waiting) == self._most:
            yield from self.finish()

    def finish(self) -> Iterator[T]:
        """Yield the results of all calls that are left."""
        self._start()
        yield from self._results(0)

    def close(self) -> None:
        """End the threads; calls that are not begun are dropped."""
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)

    def _start(self) -> None:
        if self._executor is not None:
            self._running.extend(map(self._executor.submit, self._waiting))
        self._waiting.clear()

    def _results(self, left: int) -> Iterator[T]:
        """Yield the results of the first calls until so many are left."""
        while len(self._running) > left:
            yield self._running.popleft().result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
