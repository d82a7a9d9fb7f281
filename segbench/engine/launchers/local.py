"""Who does a suite's runs: one after the other, several at once on this machine, or a Ray cluster."""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Protocol

from segbench.config.plan import Run
from segbench.data.cache.limits import free_memory_bytes
from segbench.engine.concurrency import usable_cores
from segbench.engine.events import Event, Observer, RunStarted
from segbench.engine.processes import CallStopped, stop_calls
from segbench.errors import UsageError
from segbench.results.record import RunRecord

if TYPE_CHECKING:
    from segbench.engine.distributed import ProcessGroup

_STOPPING_SECONDS = 0.05
"""Between two looks at whether all runs have ended."""


@dataclass(frozen=True)
class Place:
    """Where one run is done.

    Attributes:
        device: auto, cpu, cuda, cuda:N or mps.
        cores: Cores that are the run's own; None for all that this process may use. Its threads are the suite's.
        team: The processes that do it together, where there are several.
        deadline: When it has to stop, in seconds since the epoch; None sets no limit.
        runs_at_once: How many runs may share the device meanwhile, this one included.
    """

    device: str
    cores: int | None = None
    team: ProcessGroup | None = None
    deadline: float | None = None
    runs_at_once: int = 1


@dataclass(frozen=True)
class Job:
    """One run to be done.

    Attributes:
        run: The run.
        number: Its position among those to be done, from 1.
        total: How many these are.
    """

    run: Run
    number: int
    total: int


Do = Callable[[Job, Place, Observer], RunRecord | None]
"""Does one run and stores it; None when it is left for another time."""


class Launcher(Protocol):
    """Has runs done, and yields their records as they come."""

    here: ClassVar[bool]
    """Whether they are done on this machine, or on others that may have other devices."""

    @property
    def sharing(self) -> float:
        """How many runs share a device, or the cores."""

    def __call__(self, jobs: Sequence[Job], do: Do, observer: Observer) -> Iterator[RunRecord]:
        """Do all jobs."""


@dataclass(frozen=True)
class Sequential:
    """Does one run after the other.

    Attributes:
        device: Where.
    """

    here: ClassVar[bool] = True
    sharing: ClassVar[float] = 1.0
    device: str = "auto"

    def __call__(self, jobs: Sequence[Job], do: Do, observer: Observer) -> Iterator[RunRecord]:
        """Do all jobs, in their order; those that were left are tried again as long as others are done."""
        waiting = list(jobs)
        while waiting:
            left = []
            for job in waiting:
                if (record := do(job, Place(self.device), observer)) is not None:
                    yield record
                else:
                    left.append(job)
            waiting = left if len(left) < len(waiting) else []


class Parallel:
    """Does several runs at a time on this machine: a device each where there are several, else a part of the cores.

    How many threads a run computes with does not depend on it: that is the suite's ``threads``.

    Args:
        jobs: How many at a time.
        devices: What they are done on; each is used by one run at a time where there are as many as jobs.
        cores: Cores of the processor, which runs on it share.
        threads: Threads of an operation in each run.
    """

    here: ClassVar[bool] = True

    def __init__(self, jobs: int, *, devices: Sequence[str], cores: int | None = None, threads: int = 1) -> None:
        if jobs < 1:
            raise UsageError(f"--jobs {jobs}: expected at least 1")
        self.jobs = jobs
        self.threads = threads
        self._all_cores = cores or usable_cores()
        self._cores = max(1, self._all_cores // jobs)
        given = [devices[number % len(devices)] for number in range(jobs)]
        self._sharing = Counter(given)
        self._devices: queue.SimpleQueue[str] = queue.SimpleQueue()
        for device in given:
            self._devices.put(device)

    @property
    def sharing(self) -> float:
        """How many runs share a device or a core: on the processor, runs with a core for each thread share none."""
        if any(device.startswith(("cuda", "mps")) for device in self._sharing):
            return max(self._sharing.values())
        return max(1.0, self.jobs * self.threads / self._all_cores)

    def __call__(self, jobs: Sequence[Job], do: Do, observer: Observer) -> Iterator[RunRecord]:
        """Do all jobs; what one raises, Ctrl-C too, ends the others: they go on from where they last saved."""
        told, stopping = one_at_a_time(observer), threading.Event()
        room, at_once = memory_room(self.jobs), min(self.jobs, len(jobs))

        def done(job: Job) -> RunRecord | None:
            if stopping.is_set():
                raise CallStopped(f"{job.run.id} was not begun")
            device = self._devices.get()
            try:
                place = Place(device, self._cores, runs_at_once=min(self._sharing[device], at_once))
                return do(within(job, room, runs=at_once), place, told)
            except BaseException:
                stopping.set()
                raise
            finally:
                self._devices.put(device)

        with ThreadPoolExecutor(self.jobs) as pool:
            futures = {pool.submit(done, job): job for job in jobs}
            left: list[Job] = []
            try:
                while futures:
                    for future in wait(futures, return_when=FIRST_COMPLETED).done:
                        job = futures.pop(future)
                        if isinstance(future.exception(), CallStopped):  # what stopped it comes too
                            continue
                        if (record := future.result()) is None:
                            left.append(job)
                            continue
                        yield record
                        futures |= {pool.submit(done, other): other for other in left}  # there may be time for it now
                        left.clear()
            except BaseException:
                stopping.set()
                pool.shutdown(wait=False, cancel_futures=True)
                while not all(future.done() for future in futures):  # one may just be starting
                    stop_calls()
                    time.sleep(_STOPPING_SECONDS)
                raise


def memory_room(jobs: int) -> float:
    """Return how many gigabytes of decoded images each of several runs at a time may keep in memory."""
    return free_memory_bytes() / 2e9 / jobs


def within(job: Job, gigabytes: float, *, runs: int = 1) -> Job:
    """Return a job whose loader leaves room for those of the others; no result depends on it.

    Args:
        job: The job.
        gigabytes: The most that its cache in memory may take.
        runs: How many runs share ``loader.workers``; each has one at least where there are any.
    """
    loader = job.run.loader
    changes: dict[str, float] = {}
    if loader.cache == "memory" and loader.cache_gigabytes > gigabytes:
        changes["cache_gigabytes"] = gigabytes
    if loader.workers:
        changes["workers"] = max(1, loader.workers // runs)
    return replace(job, run=job.run.model_copy(update={"loader": loader.model_copy(update=changes)}))


def announce(job: Job, observer: Observer) -> None:
    """Tell that a run begins."""
    observer(RunStarted(job.run.id, job.run.title, job.run.seed, job.number, job.total))


def one_at_a_time(observer: Observer) -> Observer:
    """Return an observer that several threads may tell."""
    lock = threading.Lock()

    def tell(event: Event) -> None:
        with lock:
            observer(event)

    return tell
