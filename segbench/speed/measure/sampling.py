"""Measures a prepared call: warm-up, samples with energy and conditions, and memory."""

from __future__ import annotations

from dataclasses import dataclass, replace

from segbench.results.speed.record import Restart, SpeedStatus
from segbench.speed.measure.conditions import watched
from segbench.speed.measure.execution_modes import compiled_facts, replays
from segbench.speed.measure.memory import read_peak, reset_peak
from segbench.speed.measure.timer import Call, Timer


@dataclass(frozen=True)
class Prepared:
    """A prepared call.

    Attributes:
        call: Makes one call on the next batch.
        mode: How the network is executed.
        preparing_seconds: Seconds of preparation before the first call, such as graph capture.
        spare_inputs_bytes: Bytes of all input batches but one.
    """

    call: Call
    mode: str
    preparing_seconds: float
    spare_inputs_bytes: int


def sampled(call: Prepared, timer: Timer, *, resident_before: int | None) -> Restart:
    """Warm up a call, sample it, and return the measurements.

    Args:
        call: Computes one batch on the timer's device.
        timer: Sets the time to spend.
        resident_before: Resident set before the network was built, in bytes.
    """
    warmup = timer.warm_up(call.call)
    first = call.preparing_seconds + warmup.first_call_seconds
    warmup = warmup.model_copy(update={"first_call_seconds": first, **compiled_facts(call.mode)})
    if not replays(call.mode):  # a graph's memory is allocated during capture
        reset_peak(timer.device)
    with watched(timer.device) as watch:
        samples = replace(timer, while_busy=watch.note).sample(call.call)
    memory = read_peak(timer.device, before=resident_before, spare_inputs=call.spare_inputs_bytes)
    return Restart(
        status=SpeedStatus.MEASURED,
        warmup=warmup,
        host_seconds=samples.host,
        device_seconds=samples.device,
        memory=memory,
        energy_joules=samples.energy.joules if samples.energy else None,
        energy_calls=samples.energy.calls if samples.energy else None,
        conditions=watch.conditions,
    )
