"""Measures the accelerator's energy through its own counter; None where there is none."""

from __future__ import annotations

import time
from typing import NamedTuple

import torch

from segbench.speed.conditions import nvml_of
from segbench.speed.timer import Call, Timer

LEAST_SECONDS = 5.0
"""The counter moves in steps of some tens of milliseconds; over five seconds they are below 1 %."""
_CALLS_BETWEEN_LOOKS = 16


class Energy(NamedTuple):
    """Energy of a number of calls, idle power included."""

    joules: float
    calls: int


def measure_energy(call: Call, device: torch.device, *, seconds: float = LEAST_SECONDS) -> Energy | None:
    """Call back to back for at least ``seconds`` and read the counter before and after."""
    nvml = nvml_of(device)
    if nvml.energy_joules() is None:
        return None
    timer = Timer(device)
    timer.synchronize()
    before, calls, started = nvml.energy_joules(), 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        for _ in range(_CALLS_BETWEEN_LOOKS):
            call()
        calls += _CALLS_BETWEEN_LOOKS
        timer.synchronize()
    after = nvml.energy_joules()
    return None if before is None or after is None else Energy(after - before, calls)
