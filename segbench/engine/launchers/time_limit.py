"""Begins only runs that will end in time, by what each was estimated to take and how fast the work really goes."""

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
"""How long runs under way may take to save when it is time; then they are ended, and go on from their last state."""

LOOK_SECONDS = 0.5
"""Between two looks at whether runs under way have to be ended."""

LEAST_WORK_SECONDS = 5.0
"""Estimated work that has to be done before its pace is believed."""

PACES = (0.5, 10.0)
"""The least and the most by which estimates are corrected."""


@dataclass
class Begun:
    """A run that was begun by this command.

    Attributes:
        began: When, on the clock.
        expected: What was estimated to be left of it then; None where nothing is known.
        share: How much of that is done.
        seconds: How long it took; None while it is under way.
    """

    began: float
    expected: RunEstimate | None
    share: float = 0.0
    seconds: float | None = None


@dataclass
class TimeLimit:
    """Which runs may begin.

    Attributes:
        stop: When all has to stop.
        estimates: What is left of each run, by its id; runs that it does not hold may begin as long as time is left.
        at_once: Runs that share a device, each of which is slower for it, as long as their pace is not known.
        clock: Seconds that only grow.
    """

    stop: Stop
    estimates: Mapping[str, RunEstimate] = field(default_factory=dict)
    at_once: float = 1.0
    clock: Callable[[], float] = time.monotonic
    _waiting: list[str] = field(default_factory=list)
    _begun: dict[str, Begun] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def expect(self, run_ids: Iterable[str]) -> None:
        """Note which runs are to be done."""
        self._waiting = list(run_ids)

    def try_begin(self, run_id: str) -> bool:
        """Note that a run begins, and return True, if it may; one that may not can be tried again later.

        Where no run would end in time, the first of a command begins all the same: it saves where it is, and the next
        command goes on with it.
        """
        with self._lock:
            if self.stop.due:
                return False
            if not self._fits(run_id) and (self._begun or any(map(self._fits, self._waiting))):
                return False
            if run_id in self._waiting:
                self._waiting.remove(run_id)
            self._begun[run_id] = Begun(self.clock(), self.estimates.get(run_id))
            return True

    def watching(self, observer: Observer) -> Observer:
        """Return an observer that notes how fast runs go on, and tells another one of everything."""

        def tell(event: Event) -> None:
            if isinstance(event, Progress | RunEnded):
                with self._lock:
                    self._note(event)
            observer(event)

        return tell

    @property
    def pace(self) -> float:
        """Seconds that pass for each second of estimated work."""
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
            if event.status is not Status.COMPLETED:  # says nothing of the pace
                begun.expected = None
        else:
            begun.share = share_done(begun.expected, event)


def share_done(estimate: RunEstimate, event: Progress) -> float:
    """Return how much of what was left of a run is behind it; steps are counted from the run's beginning."""
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
    """Have runs in processes of their own end when it is time: told at once, and forced after ``GRACE_SECONDS``.

    They know of a deadline themselves; of SIGTERM, which may have reached this process alone, they are told here.
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
