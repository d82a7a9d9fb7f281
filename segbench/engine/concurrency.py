"""Chooses the default number of parallel runs on this machine."""

from __future__ import annotations

from segbench.data.cache.limits import free_memory_bytes
from segbench.engine.processes import ProcessDied, call_in_process

UNKNOWN_PEAK_BYTES = 2 * 10**9
"""Assumed memory of a run without an estimate: Python with torch, a batch, and a medium network."""


def runs_at_once(pending: int, *, device: str, threads: int, peak_memory_bytes: int = 0) -> int:
    """Return the number of parallel runs: on the CPU as many as cores and memory allow, on an accelerator one.

    Args:
        pending: Number of runs to execute.
        device: auto, cpu, cuda, cuda:N or mps.
        threads: CPU threads per operation in each run.
        peak_memory_bytes: Largest known peak memory of a run, assumed for all runs. 0 if none is known; then
            ``UNKNOWN_PEAK_BYTES`` is assumed.

    Raises:
        UsageError: The device does not exist.
    """
    fitting = free_memory_bytes() // (peak_memory_bytes or UNKNOWN_PEAK_BYTES)
    most = min(pending, usable_cores() // threads, fitting)
    try:
        return most if most > 1 and device_type(device) == "cpu" else 1
    except ProcessDied:  # stopped together with the command: no run will start
        return 1


def usable_cores() -> int:
    """Return the number of cores this process may use, given its affinity and a container's limit."""
    from joblib import cpu_count

    return int(cpu_count())


def device_type(device: str) -> str:
    """Return the type of a device here; asks a process that has imported torch.

    Raises:
        UsageError: The device does not exist.
    """
    return "cpu" if device == "cpu" else call_in_process(_type, device)


def _type(device: str) -> str:
    from segbench.engine.device import choose_device

    return choose_device(device).type
