"""How many runs are done at once on this machine where nobody says it."""

from __future__ import annotations

from segbench.data.cache.limits import free_memory_bytes
from segbench.engine.events import Observer, ignore
from segbench.engine.processes import ProcessDied, call_in_process

UNKNOWN_PEAK_BYTES = 2 * 10**9
"""What a run is taken to need where nothing was estimated: Python with torch, a batch, and a network of middle size."""


def runs_at_once(
    pending: int, *, device: str, threads: int, peak_memory_bytes: int = 0, observer: Observer = ignore
) -> int:
    """Return how many runs to do at once: on a processor as many as its cores allow, on an accelerator one.

    Args:
        pending: How many are to be done.
        device: auto, cpu, cuda, cuda:N or mps.
        threads: Threads of an operation in each of them.
        peak_memory_bytes: What the largest takes of those of which it is known, which stands for the others too; 0
            where it is known of none, and ``UNKNOWN_PEAK_BYTES`` are assumed.
        observer: Told of what the process tells that looks for the device.

    Raises:
        UsageError: There is no such device.
    """
    fitting = free_memory_bytes() // (peak_memory_bytes or UNKNOWN_PEAK_BYTES)
    most = min(pending, usable_cores() // threads, fitting)
    try:
        return most if most > 1 and device_type(device, observer=observer) == "cpu" else 1
    except ProcessDied:  # told to end, as the command was: nothing will be begun
        return 1


def usable_cores() -> int:
    """Return how many cores this process may use: affinity and a container's limit are respected."""
    from joblib import cpu_count

    return int(cpu_count())


def device_type(device: str, *, observer: Observer = ignore) -> str:
    """Return what kind of device a name means here; a process that has torch already looks.

    Raises:
        UsageError: There is no such device.
    """
    return "cpu" if device == "cpu" else str(call_in_process(_type, device, observer=observer))


def _type(device: str, *, observer: Observer) -> str:
    from segbench.engine.device import choose_device

    del observer
    return choose_device(device).type
