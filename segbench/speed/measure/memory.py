"""Measures memory: torch's allocator on CUDA, the resident set of the process elsewhere."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import psutil
import torch

from segbench.engine.device import peak_resident_bytes
from segbench.results.speed.record import Memory

_CLEAR_REFERENCES = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")
_RESET_PEAK = "5"
"""Value that makes the kernel reset the peak resident set (proc(5), clear_refs)."""


def resident_bytes() -> int:
    """Return the resident set of this process in bytes."""
    return int(psutil.Process().memory_info().rss)


def reset_peak(device: torch.device) -> None:
    """Reset the peaks; if the kernel does not support it, the peak covers the process's whole lifetime."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
    with suppress(OSError):
        _CLEAR_REFERENCES.write_text(_RESET_PEAK, encoding="ascii")


def read_peak(device: torch.device, *, before: int | None, spare_inputs: int | None = None) -> Memory:
    """Return the peaks since the last reset.

    Args:
        device: The device of the network.
        before: Resident set before the network was built, in bytes.
        spare_inputs: Inputs beyond one batch, in bytes.
    """
    cuda = device.type == "cuda"
    return Memory(
        spare_inputs_bytes=spare_inputs,
        allocated_peak_bytes=torch.cuda.max_memory_allocated(device) if cuda else None,
        reserved_peak_bytes=torch.cuda.max_memory_reserved(device) if cuda else None,
        process_before_bytes=before,
        process_peak_bytes=_peak_resident_bytes(),
    )


def _peak_resident_bytes() -> int:
    with suppress(OSError):
        found = re.search(r"^VmHWM:\s+(\d+) kB$", _STATUS.read_text(encoding="ascii"), re.MULTILINE)
        if found:
            return int(found[1]) * 1024
    return peak_resident_bytes()
