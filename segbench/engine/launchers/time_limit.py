"""Starts only runs that will end before the deadline, based on estimates and the measured pace."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from segbench.engine.estimate.estimate import RunEstimate
from segbench.engine.events import Event, Observer, Progress, RunEnded
from segbench.engine.processes import let_calls_begin, stop_calls, terminate_calls
from segbench.engine.stopping import Stop
from segbench.results.record import Status

GRACE_SECONDS = 60.0
"""Grace period for running runs to save their state; after it they are killed."""

LOOK_SECONDS = 0.5
"""Seconds between checks whether runs must be stopped."""

LEAST_WORK_SECONDS = 5.0
"""Seconds of estimated work that must be done before the measured pace is used."""

PACES = (0.5, 10.0)
"""Bounds of the factor by which estimates are corrected."""


@dataclass
class StartedRun:
    """A run started by this command.

    Attributes:
        began: Start time by the clock.
        expected: Estimated seconds left at the start; None if not known.
        share: Fraction of it that is done.
        seconds: Duration; None while the run is running.
    """

    began: float
    expected: RunEstimate | None
    share: float = 0.0
    seconds: float | None = None


@dataclass
class TimeLimit:
    """Decides which runs may start.

    Attributes:
        stop: The deadline of all runs.
        estimates: Estimated seconds left of each run, by id. Runs without an estimate may start before the deadline.
        at_once: Number of runs that share a device; slows the estimates until the pace is measured.
        clock: A monotonic clock in seconds.
    """

    stop: Stop
    estimates: Mapping[str, RunEstimate] = field(default_factory=dict)
    at_once: float = 1.0
    clock: Callable[[], float] = time.monotonic
    _waiting: list[str] = field(default_factory=list)
    _begun: dict[str, StartedRun] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def expect(self, run_ids: Iterable[str]) -> None:
        """Set the runs to execute."""
        self._waiting = list(run_ids)

    def try_start(self, run_id: str) -> bool:
        """Return whether a run may start, and note its start; a refused run can be tried again later.

        If no run would end in time, the first one starts anyway: it saves its state at the deadline, and the next
        command resumes it.
        """
        with self._lock:
            if self.stop.due:
                return False
            if not self._fits(run_id) and (self._begun or any(map(self._fits, self._waiting))):
                return False
            if run_id in self._waiting:
                self._waiting.remove(run_id)
            self._begun[run_id] = StartedRun(self.clock(), self.estimates.get(run_id))
            return True

    def watching(self, observer: Observer) -> Observer:
        """Return an observer that measures the pace of runs and forwards all events to another one."""

        def tell(event: Event) -> None:
            if isinstance(event, Progress | RunEnded):
                with self._lock:
                    self._note(event)
            observer(event)

        return tell

    @property
    def pace(self) -> float:
        """Real seconds per second of estimated work."""
        known = [begun for begun in self._begun.values() if begun.expected is not None and begun.share > 0]
        work = sum(begun.share * begun.expected.seconds for begun in known if begun.expected is not None)
        if work < LEAST_WORK_SECONDS:
            return self.at_once
        passed = sum(self.clock() - begun.began if begun.seconds is None else begun.seconds for begun in known)
        return min(max(passed / work, PACES[0]), PACES[1])

    def _fits(self, run_id: str) -> bool:
        estimate, left = self.estimates.get(run_id), self.stop.seconds_left
        return left is None or estimate is None or estimate.seconds * self.pace <= left

    def _note(self, event: Progress | RunEnded) -> None:
        begun = self._begun.get(event.run_id)
        if begun is None or begun.expected is None:
            return
        if isinstance(event, RunEnded):
            begun.share, begun.seconds = 1.0, self.clock() - begun.began
            if event.status is not Status.COMPLETED:  # does not help to measure the pace
                begun.expected = None
        else:
            begun.share = share_done(begun.expected, event)


def share_done(estimate: RunEstimate, event: Progress) -> float:
    """Return the fraction done of what was left of a run at its start; steps count from the beginning of the run."""
    part = event.done / max(event.total, 1)
    done = estimate.overhead_seconds
    if event.stage == "training":
        left = 1 - estimate.trained_share
        done += max(0.0, part - estimate.trained_share) / left * estimate.training_seconds if left else 0.0
    elif event.stage == "evaluation":
        done += estimate.training_seconds + part * estimate.evaluation_seconds
    return done / estimate.seconds if estimate.seconds else 0.0


@contextmanager
def ending_calls(stop: Stop) -> Iterator[None]:
    """Stop runs in other processes when it is time: request it at once, and kill them after ``GRACE_SECONDS``.

    Those processes know the deadline themselves. SIGTERM may have reached only this process, so it is forwarded.
    """
    over = threading.Event()

    def force() -> None:
        due_since = None
        while not over.wait(LOOK_SECONDS):
            if stop.due:
                due_since = due_since or time.monotonic()
                if time.monotonic() - due_since > GRACE_SECONDS:
                    stop_calls()

    threading.Thread(target=force, daemon=True).start()
    try:
        with stop.telling(terminate_calls):
            yield
    finally:
        over.set()
        let_calls_begin()
