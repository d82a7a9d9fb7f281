"""Measures the energy of calls by the accelerator's energy counter; None without one."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import NamedTuple

from segbench.speed.measure.nvidia import Nvml

LEAST_SECONDS = 1.0
"""Shortest block of calls whose energy is measured; the counter updates every 20 to 100 ms, at most 10 % of this."""
_STEP_SECONDS = 0.2
"""Longer than any update interval of the counter."""


class Energy(NamedTuple):
    """Energy of a number of calls, including idle power."""

    joules: float
    calls: int


class EnergyMeter:
    """Measures the energy of one block of calls: ``start`` on the idle device, the calls, then ``stop``.

    Both wait for the counter's next update, so that only whole intervals are counted. The accelerator is idle while
    ``stop`` waits, so the result includes the idle energy of up to one interval.

    Args:
        nvml: The accelerator's counters.
    """

    def __init__(self, nvml: Nvml) -> None:
        self.nvml = nvml
        self._before: float | None = None
        self._started = 0.0

    def start(self) -> None:
        """Read the counter."""
        self._before, self._started = self._at_step(), time.perf_counter()

    def stop(self, call: Callable[[], object], *, calls: int, wait: Callable[[], None], most: float) -> Energy | None:
        """Make further calls until ``LEAST_SECONDS`` are over, then read the counter again.

        Args:
            call: Makes one more call.
            calls: Number of calls since ``start``, at least one; the device has finished them.
            wait: Waits until the device is idle.
            most: Time limit of further calls in seconds; if more are needed, no energy is measured.
        """
        if self._before is None:
            return None
        if LEAST_SECONDS - self._elapsed > most:
            return None
        while (lacking := LEAST_SECONDS - self._elapsed) > 0:
            further = math.ceil(calls * lacking / self._elapsed)
            for _ in range(further):
                call()
            wait()
            calls += further
        after = self._at_step()
        return None if after is None else Energy(after - self._before, calls)

    @property
    def _elapsed(self) -> float:
        return time.perf_counter() - self._started

    def _at_step(self) -> float | None:
        """Return the counter just after an update; its current value if it does not change."""
        first = found = self.nvml.energy_joules()
        started = time.perf_counter()
        while found is not None and found == first and time.perf_counter() - started < _STEP_SECONDS:
            found = self.nvml.energy_joules()
        return found
