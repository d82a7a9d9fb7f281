"""Times calls on a device: warm-up that is judged, samples that are all kept."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch

from segbench.results.speed_record import Warmup

Call = Callable[[], object]

STEADY_WITHIN = 0.02
"""Largest relative difference between the medians of two consecutive windows of a steady state."""
WINDOW_CALLS = 8
"""Calls in one window of the warm-up."""
WARMUP_CAP_SECONDS = 10.0
"""The warm-up ends here, steady or not."""
LEAST_SAMPLES = 10
MOST_SAMPLES = 20_000


def is_steady(times: Sequence[float], *, window: int = WINDOW_CALLS) -> bool:
    """Return whether the medians of the last two windows of calls agree within 2 %."""
    if len(times) < 2 * window:
        return False
    before = statistics.median(times[-2 * window : -window])
    last = statistics.median(times[-window:])
    return abs(last - before) <= STEADY_WITHIN * min(before, last)


@dataclass(frozen=True)
class Samples:
    """Seconds of single calls.

    Attributes:
        host: By the host's clock, each call waited for.
        device: By CUDA events, calls issued back to back; empty on other devices.
    """

    host: tuple[float, ...]
    device: tuple[float, ...] = ()


@dataclass(frozen=True)
class Timer:
    """Times calls on one device.

    Attributes:
        device: Where the calls compute.
        seconds: Time to spend on the samples of one kind.
        warmup_cap_seconds: Time after which the warm-up ends, steady or not.
    """

    device: torch.device
    seconds: float = 2.0
    warmup_cap_seconds: float = WARMUP_CAP_SECONDS

    def once(self, call: Call) -> float:
        """Return the host's seconds of one call, from idle device to idle device."""
        started = time.perf_counter()
        call()
        self.synchronize()
        return time.perf_counter() - started

    def warm_up(self, call: Call) -> Warmup:
        """Call until the times are steady or the cap is reached; the first call is told apart."""
        self.synchronize()
        started = time.perf_counter()
        first = self.once(call)
        after_first = time.perf_counter()
        times: list[float] = []
        while not (steady := is_steady(times)) and time.perf_counter() - after_first < self.warmup_cap_seconds:
            times.append(self.once(call))
        return Warmup(
            first_call_seconds=first, calls=1 + len(times), seconds=time.perf_counter() - started, steady=steady
        )

    def sample(self, call: Call) -> Samples:
        """Take samples for about ``seconds``, at least ten of each kind."""
        host = self._host(call)
        device = self._events(call, count=len(host)) if self.device.type == "cuda" else ()
        return Samples(host, device)

    def _host(self, call: Call) -> tuple[float, ...]:
        times: list[float] = []
        started = time.perf_counter()
        while len(times) < LEAST_SAMPLES or (
            len(times) < MOST_SAMPLES and time.perf_counter() - started < self.seconds
        ):
            times.append(self.once(call))
        return tuple(times)

    def _events(self, call: Call, *, count: int) -> tuple[float, ...]:
        """Time ``count`` calls between events that exist beforehand, with one synchronisation at the end."""
        marks = [torch.cuda.Event(enable_timing=True) for _ in range(count + 1)]  # type: ignore[no-untyped-call]
        marks[0].record()
        for mark in marks[1:]:
            call()
            mark.record()
        self.synchronize()
        return tuple(before.elapsed_time(after) / 1000.0 for before, after in pairwise(marks))

    def synchronize(self) -> None:
        """Wait until the device is idle."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        elif self.device.type == "mps":
            torch.mps.synchronize()
