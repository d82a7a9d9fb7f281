"""Measures the energy of calls through the accelerator's own counter; None where there is none."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import NamedTuple

from segbench.speed.measure.nvidia import Nvml

LEAST_SECONDS = 1.0
"""A shorter block of calls has no energy: the counter moves every 20 to 100 milliseconds, 10 % of this at most."""
_STEP_SECONDS = 0.2
"""Longer than any step of the counter."""


class Energy(NamedTuple):
    """Energy of a number of calls, idle power included."""

    joules: float
    calls: int


class EnergyMeter:
    """Meters one block of calls: ``start`` on the idle device, the calls, ``stop`` when they are done.

    Both wait for the counter's next step, so that only whole steps are counted. The accelerator is idle while ``stop``
    waits. The energy is therefore too high by what the idle accelerator takes in at most one step.

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
        """Go on calling until ``LEAST_SECONDS`` are over, and read the counter again.

        Args:
            call: Makes one more call.
            calls: Calls that were made since ``start``, at least one; the device has done them.
            wait: Waits until the device has done every call.
            most: Seconds that further calls may take; there is no energy where more would be needed.
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
        """Return the counter just after it moved; as it is, where it does not move."""
        first = found = self.nvml.energy_joules()
        started = time.perf_counter()
        while found is not None and found == first and time.perf_counter() - started < _STEP_SECONDS:
            found = self.nvml.energy_joules()
        return found
