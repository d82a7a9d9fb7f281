"""Reads the counters of an NVIDIA GPU: energy, clocks, temperature, throttling; None if not available."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from importlib import import_module
from typing import Any

_HELD_BACK = ("SwPowerCap", "HwSlowdown", "SwThermalSlowdown", "HwThermalSlowdown", "HwPowerBrakeSlowdown")
"""NVML's throttling reasons that mean heat or power; idle clocks and user-set clocks do not count."""
_REASONS = ("ClocksEventReason", "ClocksThrottleReason")
"""Names of the NVML call since CUDA 12.2, and before; drivers and packages know one or both."""


class Nvml:
    """The counters of one GPU.

    Args:
        uuid: The GPU's UUID as torch reports it, without the prefix ``GPU-`` or ``MIG-``; None reads nothing.
    """

    def __init__(self, uuid: str | None) -> None:
        self.uuid = uuid

    @cached_property
    def _library(self) -> Any:
        try:
            library = import_module("pynvml")
            library.nvmlInit()
        except Exception:  # no package or no driver
            return None
        return library

    @cached_property
    def _handle(self) -> Any:
        if self.uuid is None or self._library is None:
            return None
        for prefix in ("GPU", "MIG"):
            with suppress(Exception):
                return self._library.nvmlDeviceGetHandleByUUID(f"{prefix}-{self.uuid}")
        return None

    def energy_joules(self) -> float | None:
        """Return the energy in joules used since the driver was loaded."""
        milli = self._read(lambda library, handle: library.nvmlDeviceGetTotalEnergyConsumption(handle))
        return None if milli is None else milli / 1000.0

    def clock_mhz(self) -> float | None:
        """Return the clock of the streaming multiprocessors."""
        return self._read(lambda library, handle: library.nvmlDeviceGetClockInfo(handle, library.NVML_CLOCK_SM))

    def memory_clock_mhz(self) -> float | None:
        """Return the clock of the memory."""
        return self._read(lambda library, handle: library.nvmlDeviceGetClockInfo(handle, library.NVML_CLOCK_MEM))

    def temperature_celsius(self) -> float | None:
        """Return the temperature of the chip."""
        return self._read(
            lambda library, handle: library.nvmlDeviceGetTemperature(handle, library.NVML_TEMPERATURE_GPU)
        )

    def throttled(self) -> bool | None:
        """Return whether heat or power limits reduce the clocks now."""
        for kind in _REASONS:
            reasons = self._reasons(kind)
            if reasons is not None:
                bits = [getattr(self._library, f"nvml{kind}{name}", 0) for name in _HELD_BACK]
                return any(int(reasons) & bit for bit in bits)
        return None

    def _reasons(self, kind: str) -> float | None:
        return self._read(lambda library, handle: getattr(library, f"nvmlDeviceGetCurrent{kind}s")(handle))

    def _read(self, counter: Callable[[Any, Any], Any]) -> float | None:
        if self._handle is None:
            return None
        with suppress(Exception):  # this GPU lacks the counter
            return float(counter(self._library, self._handle))
        return None
