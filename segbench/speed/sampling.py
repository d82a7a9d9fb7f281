"""Turns a call that is ready into a restart: warm-up, samples, memory, conditions and energy, in this order."""

from __future__ import annotations

from segbench.results.speed_record import Restart, SpeedStatus
from segbench.speed.conditions import watched
from segbench.speed.energy import measure_energy
from segbench.speed.memory import read_peak, reset_peak
from segbench.speed.timer import Call, Timer


def sampled(call: Call, timer: Timer, *, resident_before: int | None) -> Restart:
    """Warm a call up, sample it, and say what it took.

    Args:
        call: Computes one batch on the timer's device.
        timer: How long to sample.
        resident_before: Resident set before the network was built, in bytes.
    """
    warmup = timer.warm_up(call)
    reset_peak(timer.device)
    with watched(timer.device) as watch:
        samples = timer.sample(call)
    memory = read_peak(timer.device, before=resident_before)
    energy = measure_energy(call, timer.device)
    return Restart(
        status=SpeedStatus.MEASURED,
        warmup=warmup,
        host_seconds=samples.host,
        device_seconds=samples.device,
        memory=memory,
        energy_joules=energy.joules if energy else None,
        energy_calls=energy.calls if energy else None,
        conditions=watch.conditions,
    )
