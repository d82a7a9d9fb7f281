"""Memory, stolen time and the accelerator's counters."""

# ruff: noqa: N802, N815 - names of NVML

from __future__ import annotations

import mmap
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from segbench.speed.measure import energy
from segbench.speed.measure.conditions import Jiffies, cpu_jiffies, nvml_of, stolen_share, watched
from segbench.speed.measure.energy import EnergyMeter
from segbench.speed.measure.memory import read_peak, reset_peak, resident_bytes
from segbench.speed.measure.nvidia import Nvml

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
    assert nvml_of(CPU).energy_joules() is None


class Library(SimpleNamespace):
    """NVML's calls with made-up answers, in NVML's own units; there may be no accelerator to ask."""

    NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_TEMPERATURE_GPU = "sm", "memory", "gpu"
    reasons = 0

    def nvmlInit(self):
        """Start."""

    def nvmlDeviceGetHandleByUUID(self, uuid):
        assert uuid in ("GPU-abc", "MIG-part")
        return "handle"

    def nvmlDeviceGetTotalEnergyConsumption(self, _handle):
        return 2500

    def nvmlDeviceGetClockInfo(self, _handle, kind):
        return {"sm": 1400, "memory": 2600}[kind]

    def nvmlDeviceGetTemperature(self, _handle, _sensor):
        raise RuntimeError("Not Supported")


class OldLibrary(Library):
    """Names of before CUDA 12.2."""

    nvmlClocksThrottleReasonSwPowerCap = 4
    nvmlClocksThrottleReasonHwSlowdown = 8

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, _handle):
        return self.reasons


class NewLibrary(Library):
    """The names since then alone, as from CUDA 14."""

    nvmlClocksEventReasonSwPowerCap = 4
    nvmlClocksEventReasonHwSlowdown = 8

    def nvmlDeviceGetCurrentClocksEventReasons(self, _handle):
        return self.reasons


class NewLibraryOnOldDriver(OldLibrary, NewLibrary):
    """A package that knows both, and a driver that knows the old one."""

    def nvmlDeviceGetCurrentClocksEventReasons(self, _handle):
        raise RuntimeError("Function Not Found")


@pytest.mark.parametrize("library", [OldLibrary, NewLibrary, NewLibraryOnOldDriver])
@pytest.mark.parametrize(("reasons", "held_back"), [(0, False), (1, False), (4, True), (9, True)])
def test_counters_are_read_in_their_units(monkeypatch, library, reasons, held_back):
    monkeypatch.setitem(sys.modules, "pynvml", library(reasons=reasons))
    nvml = Nvml("abc")
    assert nvml.energy_joules() == 2.5
    assert nvml.clock_mhz() == 1400
    assert nvml.memory_clock_mhz() == 2600
    assert nvml.throttled() is held_back


def test_a_counter_that_is_not_supported_is_none(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", Library())
    assert Nvml("abc").temperature_celsius() is None
    assert Nvml("abc").throttled() is None


def test_a_part_of_an_accelerator_is_found_too(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", Library())
    assert Nvml("part").clock_mhz() == 1400


def test_an_accelerator_that_nvml_does_not_know_has_no_counters(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", Library())
    assert Nvml("other").energy_joules() is None


STEP_SECONDS, WATTS = 0.02, 500.0


class Clock:
    """A time that only passes while somebody sleeps, and a millisecond when somebody asks for it."""

    now = 0.0

    def perf_counter(self):
        self.now += 0.001
        return self.now

    def sleep(self, seconds):
        self.now += seconds


class Counter(Nvml):
    """Counts so many watts, in steps as NVML does; there may be no accelerator to ask."""

    def __init__(self, clock):
        super().__init__(None)
        self.clock = clock

    def energy_joules(self):
        return WATTS * STEP_SECONDS * (self.clock.perf_counter() // STEP_SECONDS)


@pytest.fixture
def clock(monkeypatch):
    """Return the time of the meter."""
    clock = Clock()
    monkeypatch.setattr(energy, "time", clock)
    return clock


@pytest.fixture
def calls(monkeypatch, clock):
    """Return what further calls are appended to, of 5 ms each; a block needs 0.2 seconds."""
    monkeypatch.setattr(energy, "LEAST_SECONDS", 0.2)
    return []


def metered(clock, calls, *, seconds, most=1.0, nvml=None):
    """Meter one call of so many seconds, and further ones of 5 ms."""
    meter = EnergyMeter(nvml or Counter(clock))
    meter.start()
    started = clock.now
    clock.sleep(seconds)

    def call():
        clock.sleep(0.005)
        calls.append(call)

    return meter.stop(call, calls=1, wait=lambda: None, most=most), clock.now - started


def test_energy_is_that_of_the_block_and_of_the_rest_of_the_last_step(clock, calls):
    found, seconds = metered(clock, calls, seconds=0.25)
    assert found.joules == pytest.approx(WATTS * seconds, rel=0.1)
    assert (found.calls, calls) == (1, [])


def test_a_short_block_is_made_longer_by_as_many_calls_as_it_takes(clock, calls):
    found, seconds = metered(clock, calls, seconds=0.1)
    assert found.joules == pytest.approx(WATTS * seconds, rel=0.1)
    assert found.calls == 1 + len(calls) > 1
    assert seconds >= 0.2


def test_a_block_that_would_have_to_become_much_longer_has_no_energy_and_no_further_call(clock, calls):
    found, seconds = metered(clock, calls, seconds=0.05, most=0.1)
    assert found is None
    assert calls == []
    assert seconds < 0.2


def test_without_a_counter_there_is_no_energy_and_no_further_call(clock, calls):
    assert metered(clock, calls, seconds=0.0, nvml=Nvml(None))[0] is None
    assert calls == []


def test_a_counter_that_does_not_move_is_not_waited_for_without_end(clock):
    class Standing(Counter):
        def energy_joules(self):
            return 7.0

    EnergyMeter(Standing(clock)).start()
    assert clock.now < 2.0
