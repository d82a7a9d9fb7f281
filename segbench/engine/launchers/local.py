"""Launchers for this machine: runs of a suite one after another, or several in parallel."""

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
"""Seconds between checks whether all runs have ended."""


@dataclass(frozen=True)
class Place:
    """Device, cores and processes of a run.

    Attributes:
        device: auto, cpu, cuda, cuda:N or mps.
        cores: Cores reserved for the run; None for all that this process may use. The suite sets the number of threads.
        group: The process group, if several processes share the run.
        deadline: When the run must stop, in seconds since the Unix epoch; None sets no limit.
        runs_at_once: Number of runs that may share the device, including this one.
    """

    device: str
    cores: int | None = None
    group: ProcessGroup | None = None
    deadline: float | None = None
    runs_at_once: int = 1


@dataclass(frozen=True)
class Job:
    """A run to execute.

    Attributes:
        run: The run.
        number: Its number among the runs to execute, from 1.
        total: Total number of runs to execute.
    """

    run: Run
    number: int
    total: int


RunJob = Callable[[Job, Place, Observer], RunRecord | None]
"""Executes and stores one run; returns None if it was postponed."""


class Launcher(Protocol):
    """Executes runs and yields their records as they are completed."""

    here: ClassVar[bool]
    """Whether runs are executed on this machine, or on others that may have other devices."""

    @property
    def sharing(self) -> float:
        """Number of runs that share a device or the cores."""

    def __call__(self, jobs: Sequence[Job], run_job: RunJob, observer: Observer) -> Iterator[RunRecord]:
        """Execute all jobs."""


@dataclass(frozen=True)
class Sequential:
    """Executes runs one after another.

    Attributes:
        device: The device of all runs.
    """

    here: ClassVar[bool] = True
    sharing: ClassVar[float] = 1.0
    device: str = "auto"

    def __call__(self, jobs: Sequence[Job], run_job: RunJob, observer: Observer) -> Iterator[RunRecord]:
        """Execute all jobs in order; postponed ones are retried as long as other runs are completed."""
        waiting = list(jobs)
        while waiting:
            left = []
            for job in waiting:
                if (record := run_job(job, Place(self.device), observer)) is not None:
                    yield record
                else:
                    left.append(job)
            waiting = left if len(left) < len(waiting) else []


class Parallel:
    """Executes several runs in parallel on this machine; each gets a device, or a share of the cores.

    The number of threads per run is not affected; it is set by the suite's ``threads``.

    Args:
        jobs: Number of parallel runs.
        devices: The devices; if there are as many as jobs, each is used by one run at a time.
        cores: CPU cores, divided among runs on the CPU.
        threads: CPU threads per operation in each run.
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
        """Number of runs that share a device or a core; 1 on the CPU if each thread has its own core."""
        if any(device.startswith(("cuda", "mps")) for device in self._sharing):
            return max(self._sharing.values())
        return max(1.0, self.jobs * self.threads / self._all_cores)

    def __call__(self, jobs: Sequence[Job], run_job: RunJob, observer: Observer) -> Iterator[RunRecord]:
        """Execute all jobs. An error of one run, or Ctrl-C, stops the others; they can be resumed."""
        told, stopping = one_at_a_time(observer), threading.Event()
        room, at_once = memory_room(self.jobs), min(self.jobs, len(jobs))

        def done(job: Job) -> RunRecord | None:
            if stopping.is_set():
                raise CallStopped(f"{job.run.id} was not started")
            device = self._devices.get()
            try:
                place = Place(device, self._cores, runs_at_once=min(self._sharing[device], at_once))
                return run_job(within(job, room, runs=at_once), place, told)
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
                        if isinstance(future.exception(), CallStopped):  # the error that stopped it follows
                            continue
                        if (record := future.result()) is None:
                            left.append(job)
                            continue
                        yield record
                        futures |= {pool.submit(done, other): other for other in left}  # there may be enough time now
                        left.clear()
            except BaseException:
                stopping.set()
                pool.shutdown(wait=False, cancel_futures=True)
                while not all(future.done() for future in futures):  # one may be starting now
                    stop_calls()
                    time.sleep(_STOPPING_SECONDS)
                raise


def memory_room(jobs: int) -> float:
    """Return the gigabytes of decoded images that each of several parallel runs may cache in memory."""
    return free_memory_bytes() / 2e9 / jobs


def within(job: Job, gigabytes: float, *, runs: int = 1) -> Job:
    """Limit a job's loader so that parallel runs share memory and workers; results do not change.

    Args:
        job: The job.
        gigabytes: Upper limit of its in-memory cache.
        runs: Number of runs that share ``loader.workers``; each gets at least one worker if there are any.
    """
    loader = job.run.loader
    changes: dict[str, float] = {}
    if loader.cache == "memory" and loader.cache_gigabytes > gigabytes:
        changes["cache_gigabytes"] = gigabytes
    if loader.workers:
        changes["workers"] = max(1, loader.workers // runs)
    return replace(job, run=job.run.model_copy(update={"loader": loader.model_copy(update=changes)}))


def announce(job: Job, observer: Observer) -> None:
    """Report that a run starts."""
    observer(RunStarted(job.run.id, job.run.title, job.run.seed, job.number, job.total))


def one_at_a_time(observer: Observer) -> Observer:
    """Return an observer that several threads may call."""
    lock = threading.Lock()

    def tell(event: Event) -> None:
        with lock:
            observer(event)

    return tell
