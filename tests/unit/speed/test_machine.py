"""Memory, stolen time and the accelerator's counters."""

# ruff: noqa: N802, N815 - names of NVML

from __future__ import annotations

import mmap
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from segbench.speed.conditions import Jiffies, cpu_jiffies, nvml_of, stolen_share, watched
from segbench.speed.energy import measure_energy
from segbench.speed.memory import read_peak, reset_peak, resident_bytes
from segbench.speed.nvml import Nvml

CPU = torch.device("cpu")
MIB = 2**20


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the kernel tells no peak that can be reset")
def test_a_peak_is_counted_from_the_last_reset():
    held = torch.ones(256 * MIB // 4)
    del held
    before = resident_bytes()
    reset_peak(CPU)
    small = mmap.mmap(-1, 64 * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)  # malloc might reuse what was freed
    for page in range(0, len(small), mmap.PAGESIZE):
        small[page] = 1
    memory = read_peak(CPU, before=before)
    small.close()
    assert memory.process_before_bytes == before
    assert 60 * MIB < memory.process_peak_bytes - before < 160 * MIB
    assert memory.allocated_peak_bytes is None
    assert memory.reserved_peak_bytes is None


def test_stolen_time_is_read_from_the_kernels_counts(tmp_path):
    stat = tmp_path / "stat"
    stat.write_text("cpu  10 20 30 40 50 60 70 80 90 100\ncpu0 1 1 1 1 1 1 1 1 1 1\n")
    assert cpu_jiffies(stat) == Jiffies(total=360, stolen=80)


@pytest.mark.parametrize("text", ["", "cpu 1 2 3\n", "cpu a b c d e f g h\n"])
def test_counts_that_cannot_be_read_are_none(tmp_path, text):
    stat = tmp_path / "stat"
    stat.write_text(text)
    assert cpu_jiffies(stat) is None
    assert cpu_jiffies(tmp_path / "absent") is None


def test_the_stolen_share_is_that_of_the_time_between():
    assert stolen_share(Jiffies(100, 10), Jiffies(300, 60)) == 0.25
    assert stolen_share(Jiffies(100, 10), Jiffies(100, 10)) is None
    assert stolen_share(None, Jiffies(1, 1)) is None


def test_without_an_accelerator_its_state_is_none_and_never_zero():
    with watched(CPU) as watch:
        sum(range(1000))
    found = watch.conditions
    assert (found.gpu_clock_mhz, found.memory_clock_mhz, found.temperature_celsius) == (None, None, None)
    assert found.throttled is None
    assert measure_energy(lambda: None, CPU) is None
    assert nvml_of(CPU).energy_joules() is None


class Library(SimpleNamespace):
    """NVML's calls with made-up answers, in NVML's own units; there may be no accelerator to ask."""

    NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_TEMPERATURE_GPU = "sm", "memory", "gpu"
    nvmlClocksThrottleReasonSwPowerCap = 4
    nvmlClocksThrottleReasonHwSlowdown = 8
    reasons = 0

    def nvmlInit(self):
        """Start."""

    def nvmlDeviceGetHandleByUUID(self, uuid):
        assert uuid == "GPU-abc"
        return "handle"

    def nvmlDeviceGetTotalEnergyConsumption(self, _handle):
        return 2500

    def nvmlDeviceGetClockInfo(self, _handle, kind):
        return {"sm": 1400, "memory": 2600}[kind]

    def nvmlDeviceGetTemperature(self, _handle, _sensor):
        raise RuntimeError("Not Supported")

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, _handle):
        return self.reasons


@pytest.mark.parametrize(("reasons", "held_back"), [(0, False), (1, False), (4, True), (9, True)])
def test_counters_are_read_in_their_units(monkeypatch, reasons, held_back):
    monkeypatch.setitem(sys.modules, "pynvml", Library(reasons=reasons))
    nvml = Nvml("abc")
    assert nvml.energy_joules() == 2.5
    assert nvml.clock_mhz() == 1400
    assert nvml.memory_clock_mhz() == 2600
    assert nvml.throttled() is held_back


def test_a_counter_that_is_not_supported_is_none(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", Library())
    assert Nvml("abc").temperature_celsius() is None


def test_an_accelerator_that_nvml_does_not_know_has_no_counters(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", Library())
    assert Nvml("other").energy_joules() is None
