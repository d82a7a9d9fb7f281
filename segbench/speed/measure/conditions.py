"""Records the machine's state during a measurement: stolen time, clocks, temperature, throttling."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import torch

from segbench.results.speed.record import Conditions
from segbench.speed.measure.nvidia import Nvml

_STAT = Path("/proc/stat")
_STEAL_COLUMN = 7


def nvml_of(device: torch.device) -> Nvml:
    """Return the counters of a torch device; they are empty unless it is an NVIDIA GPU."""
    if device.type != "cuda" or torch.version.cuda is None:
        return Nvml(None)
    uuid = getattr(torch.cuda.get_device_properties(device), "uuid", None)
    return Nvml(None if uuid is None else str(uuid))


@dataclass
class Watch:
    """The recorded state; ``conditions`` is complete at the end of the watched block."""

    nvml: Nvml
    conditions: Conditions = field(default_factory=Conditions)
    clock_mhz: float | None = None
    memory_clock_mhz: float | None = None
    held_back: list[bool | None] = field(default_factory=list)

    def note(self) -> None:
        """Read clocks and throttling; most useful while the GPU is busy."""
        self.clock_mhz, self.memory_clock_mhz = self.nvml.clock_mhz(), self.nvml.memory_clock_mhz()
        self.held_back.append(self.nvml.throttled())


@contextmanager
def watched(device: torch.device) -> Iterator[Watch]:
    """Record the machine's state during a block of calls."""
    watch = Watch(nvml_of(device))
    jiffies, temperature = cpu_jiffies(), watch.nvml.temperature_celsius()
    watch.note()
    yield watch
    held_back = [state for state in (*watch.held_back, watch.nvml.throttled()) if state is not None]
    watch.conditions = Conditions(
        steal_share=stolen_share(jiffies, cpu_jiffies()),
        cpu_clock_mhz=cpu_clock_mhz(),
        gpu_clock_mhz=watch.clock_mhz,
        memory_clock_mhz=watch.memory_clock_mhz,
        temperature_celsius=watch.nvml.temperature_celsius(),
        temperature_before_celsius=temperature,
        throttled=any(held_back) if held_back else None,
    )


@dataclass(frozen=True)
class Jiffies:
    """The kernel's counts of processor time, over all cores."""

    total: int
    stolen: int


def cpu_jiffies(stat: Path = _STAT) -> Jiffies | None:
    """Read the total CPU time and the time stolen by the hypervisor; None if not available."""
    with suppress(OSError, ValueError, IndexError):
        with stat.open(encoding="ascii") as lines:
            counts = [int(part) for part in lines.readline().split()[1:]]
        return Jiffies(total=sum(counts[: _STEAL_COLUMN + 1]), stolen=counts[_STEAL_COLUMN])
    return None


def stolen_share(before: Jiffies | None, after: Jiffies | None) -> float | None:
    """Return the fraction of CPU time stolen between two readings; None if no time was counted."""
    if before is None or after is None or after.total <= before.total:
        return None
    return (after.stolen - before.stolen) / (after.total - before.total)


def cpu_clock_mhz() -> float | None:
    """Return the current CPU clock; None if not available."""
    with suppress(Exception):  # psutil finds no such file on this system
        clock = psutil.cpu_freq()
        return float(clock.current) if clock and clock.current else None
    return None
