"""Times calls on a device: checks that the warm-up becomes steady, and keeps all samples."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch

from segbench.engine.device import synchronize
from segbench.results.speed.record import Warmup
from segbench.speed.measure.conditions import nvml_of
from segbench.speed.measure.energy import Energy, EnergyMeter
from segbench.speed.measure.nvidia import Nvml

Call = Callable[[], object]

STEADY_WITHIN = 0.02
"""In a steady state, the medians of two consecutive windows differ by at most this fraction."""
LEAST_IN_A_WINDOW = 3
"""Minimum number of calls in a warm-up window; fewer if they take ``LONG_WINDOW_SECONDS``."""
WINDOW_SECONDS = 0.2
"""Minimum duration of a warm-up window; clocks need some time to rise."""
LONG_WINDOW_SECONDS = 0.5
WARMUP_CAP_SECONDS = 10.0
"""Longest duration of the warm-up."""
LEAST_SAMPLES = 10
"""Minimum number of samples of one kind. If they take ``SLOW_SHARE`` of the time asked for, the next limit applies."""
LEAST_SLOW_SAMPLES = 2
SLOW_SHARE = 1.5
MOST_SAMPLES = 20_000


def is_steady(before: Sequence[float], last: Sequence[float]) -> bool:
    """Return whether the medians of two windows agree within 2 %; an empty window agrees with none."""
    if not before or not last:
        return False
    medians = statistics.median(before), statistics.median(last)
    return max(medians) - min(medians) <= STEADY_WITHIN * min(medians)


def _seconds_between(marks: Sequence[torch.cuda.Event]) -> tuple[float, ...]:
    """Return the device seconds between consecutive events."""
    return tuple(before.elapsed_time(after) / 1000.0 for before, after in pairwise(marks))


@dataclass(frozen=True)
class Samples:
    """Seconds of single calls.

    Attributes:
        host: By the host's clock; each call is waited for.
        device: By CUDA events, calls issued back to back; empty on other devices.
        energy: Energy of the back-to-back calls; None if it cannot be measured or was not asked for.
    """

    host: tuple[float, ...]
    device: tuple[float, ...] = ()
    energy: Energy | None = None


@dataclass(frozen=True)
class Timer:
    """Times calls on one device.

    Attributes:
        device: The device of the calls.
        seconds: Time to spend on the samples of one kind.
        warmup_cap_seconds: Longest duration of the warm-up.
        energy: Whether the accelerator's energy is measured.
        while_busy: Called while calls are queued on a CUDA device.
        clock: The host's clock, in seconds.
    """

    device: torch.device
    seconds: float = 2.0
    warmup_cap_seconds: float = WARMUP_CAP_SECONDS
    energy: bool = True
    while_busy: Callable[[], None] = lambda: None
    clock: Callable[[], float] = time.perf_counter

    def once(self, call: Call) -> float:
        """Return the host seconds of one call, from idle device to idle device."""
        started = self.clock()
        call()
        synchronize(self.device)
        return self.clock() - started

    def warm_up(self, call: Call) -> Warmup:
        """Repeat the call until times are steady or the cap is reached; the first call is reported separately.

        A first call that takes as long as a window counts as a window. Either its preparation is negligible, or it will
        not agree with the next window.
        """
        synchronize(self.device)
        started = self.clock()
        first = self.once(call)
        after_first = self.clock()
        before: list[float] = []
        last = [first] if first >= LONG_WINDOW_SECONDS else []
        calls = 1
        while not is_steady(before, last) and self.clock() - after_first < self.warmup_cap_seconds:
            before, last = last, self._window(call)
            calls += len(last)
        return Warmup(
            first_call_seconds=first,
            calls=calls,
            seconds=self.clock() - started,
            steady=is_steady(before, last),
        )

    def _window(self, call: Call) -> list[float]:
        times: list[float] = []
        while sum(times) < WINDOW_SECONDS or (len(times) < LEAST_IN_A_WINDOW and sum(times) < LONG_WINDOW_SECONDS):
            times.append(self.once(call))
        return times

    def sample(self, call: Call) -> Samples:
        """Take samples for about ``seconds``: at least ten of each kind, or two of slow calls."""
        host = self._host(call)
        if self.device.type != "cuda":
            return Samples(host)
        meter = EnergyMeter(nvml_of(self.device) if self.energy else Nvml(None))
        marks = self._marks(len(host) + 1)
        meter.start()
        self._issue(call, marks)
        energy = meter.stop(call, calls=len(host), wait=partial(synchronize, self.device), most=self.seconds)
        return Samples(host, _seconds_between(marks), energy)

    def _host(self, call: Call) -> tuple[float, ...]:
        times: list[float] = []
        started = self.clock()
        while self._wants_more(len(times), self.clock() - started):
            times.append(self.once(call))
        return tuple(times)

    def _wants_more(self, samples: int, elapsed: float) -> bool:
        if samples < LEAST_SAMPLES:
            return samples < LEAST_SLOW_SAMPLES or elapsed < SLOW_SHARE * self.seconds
        return samples < MOST_SAMPLES and elapsed < self.seconds

    def _marks(self, count: int) -> list[torch.cuda.Event]:
        """Return CUDA events; each was recorded once, since torch creates an event on its first recording."""
        marks = [torch.cuda.Event(enable_timing=True) for _ in range(count)]  # type: ignore[no-untyped-call]
        for mark in marks:
            mark.record()
        synchronize(self.device)
        return marks

    def _issue(self, call: Call, marks: Sequence[torch.cuda.Event]) -> None:
        """Make one call between each two events, then wait once for all."""
        marks[0].record()
        for mark in marks[1:]:
            call()
            mark.record()
        self.while_busy()
        synchronize(self.device)
