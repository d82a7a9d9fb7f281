"""The launcher: restarts, sweeps, and what becomes of processes that die."""

from __future__ import annotations

import pytest
from speed_cases import case, record, restart

from segbench.engine.processes import call_in_fresh_process
from segbench.errors import UsageError
from segbench.results.speed.record import SpeedStatus, Task
from segbench.speed.cases import PlannedCase
from segbench.speed.run_cases import INTERLEAVED, LARGEST_BATCH, Settings, measure_cases

pytestmark = pytest.mark.slow(reason="times networks in interpreters of their own")

SETTINGS = Settings("cpu", 2, 0.05)


class Machine:
    """Answers in place of the processes: a batch takes a fixed time, and more than ``most`` images do not fit."""

    def __init__(self, seconds_of_batch, most=LARGEST_BATCH):
        self.seconds_of_batch, self.most, self.calls = seconds_of_batch, most, []

    def __call__(self, function, *arguments):
        if function.__name__ == "fingerprint":
            return {"processor": "made up"}
        batch = arguments[0].batch_size
        self.calls.append(batch)
        if batch > self.most:
            return restart(status=SpeedStatus.OUT_OF_MEMORY, reason="out of memory", warmup=None)
        return restart(self.seconds_of_batch(batch))


def measured(planned, machine):
    return list(measure_cases([planned], SETTINGS, call=machine, describe=machine))


def test_every_case_is_measured_in_as_many_processes_as_asked_for():
    machine = Machine(lambda batch: 1.0)
    (record,) = measured(PlannedCase(case()), machine)
    assert len(record.restarts) == 2
    assert machine.calls == [1, 1]
    assert record.environment == {"processor": "made up"}


def test_cases_are_measured_in_turn():
    machine = Machine(lambda batch: 1.0)
    planned = [PlannedCase(case(batch_size=batch)) for batch in (1, 2, 4)]
    records = list(measure_cases(planned, SETTINGS, call=machine, describe=machine))
    assert machine.calls == [1, 2, 4, 1, 2, 4]
    assert [(record.case.batch_size, len(record.restarts)) for record in records] == [(1, 2), (2, 2), (4, 2)]


def test_sweeps_come_last_and_only_so_many_cases_are_measured_in_turn():
    machine = Machine(lambda batch: 1.0, most=1)
    planned = [PlannedCase(case(), sweeps=True), *(PlannedCase(case(classes=2 + n)) for n in range(INTERLEAVED + 1))]
    records = list(measure_cases(planned, SETTINGS, call=machine, describe=machine))
    assert [record.case.classes for record in records[:-2]] == list(range(2, INTERLEAVED + 3))
    assert [record.case.batch_size for record in records[-2:]] == [1, 2]


def slow(seconds, **changes):
    settings = Settings("cpu", 5, 2.0, **changes)
    machine = Machine(lambda batch: seconds)
    list(measure_cases([PlannedCase(case())], settings, call=machine, describe=machine))
    return len(machine.calls)


def test_slow_calls_want_fewer_processes_where_that_is_allowed():
    assert slow(2.5, slow_restarts=2) == 2
    assert slow(1.5, slow_restarts=2) == 5
    assert slow(2.5) == 5


def test_what_cannot_be_done_here_is_tried_once():
    class Refusing(Machine):
        def __call__(self, function, *arguments):
            answer = super().__call__(function, *arguments)
            refused = restart(status=SpeedStatus.SKIPPED, reason="cannot take 8x8 images", warmup=None)
            return answer if function.__name__ == "fingerprint" else refused

    machine = Refusing(lambda batch: 1.0)
    (record,) = measured(PlannedCase(case()), machine)
    assert (record.status, len(machine.calls)) == (SpeedStatus.SKIPPED, 1)


def test_a_sweep_doubles_until_throughput_gains_less_than_three_per_cent():
    seconds = {1: 1.0, 2: 1.2, 4: 1.6, 8: 3.15, 16: 1.0}
    records = measured(PlannedCase(case(), sweeps=True), Machine(seconds.__getitem__))
    assert [record.case.batch_size for record in records] == [1, 2, 4, 8]
    assert len({record.id for record in records}) == 4


def test_a_batch_that_does_not_fit_is_a_row_and_ends_the_sweep():
    records = measured(PlannedCase(case(), sweeps=True), Machine(lambda batch: 1.0, most=4))
    assert [(record.case.batch_size, record.status) for record in records] == [
        (1, SpeedStatus.MEASURED),
        (2, SpeedStatus.MEASURED),
        (4, SpeedStatus.MEASURED),
        (8, SpeedStatus.OUT_OF_MEMORY),
    ]


def test_a_sweep_ends_at_the_largest_batch():
    records = measured(PlannedCase(case(), sweeps=True), Machine(lambda batch: 1.0))
    assert records[-1].case.batch_size == LARGEST_BATCH


def test_progress_counts_restarts():
    told = []
    planned = [PlannedCase(case()), PlannedCase(case(batch_size=2))]
    list(
        measure_cases(
            planned,
            SETTINGS,
            call=Machine(lambda batch: 1.0),
            tell=lambda done, total, title: told.append((done, total)),
        )
    )
    assert told == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]


def test_throughput_is_the_batch_over_the_median_of_the_restarts_medians():
    found = record(restart(1.0, 1.0, 9.0), restart(2.0, 2.0), restart(4.0, 4.0), batch_size=8)
    assert found.images_per_second == 4.0
    assert record(restart(5.0, device_seconds=(2.0,)), batch_size=8).images_per_second == 4.0


def test_a_loader_that_delivers_in_bursts_counts_by_its_whole_time():
    bursts = restart(*[0.001, 0.001, 0.001, 0.397] * 5)
    assert record(bursts, task=Task.LOADING, batch_size=8).images_per_second == pytest.approx(8 / 0.1)


def test_every_restart_is_an_interpreter_of_its_own():
    calls = [call_in_fresh_process(address_of_malloc) for _ in range(4)]
    assert len(set(calls)) > 1


def address_of_malloc():
    """Return where the C library lies, which forked processes share and started ones do not."""
    import ctypes

    return ctypes.cast(ctypes.CDLL(None).malloc, ctypes.c_void_p).value


def test_a_real_process_that_is_killed_is_out_of_memory():
    model = {"name": "python:misbehaving.killed"}
    (found,) = measure_cases([PlannedCase(case(model=model))], Settings("cpu", 1, 0.05))
    assert found.status is SpeedStatus.OUT_OF_MEMORY
    assert "SIGKILL" in found.restarts[0].reason


def test_a_device_that_is_not_there_is_refused():
    from segbench.config.suite import Speed

    with pytest.raises(UsageError, match=r"does not exist here|expected auto"):
        Settings.of(Speed(), device="xpu:7")
    assert Settings.of(Speed(), device="cpu").kind == "cpu"


def test_energy_is_measured_unless_the_block_says_no():
    from segbench.config.suite import Speed

    assert Settings.of(Speed(), device="cpu").energy
    assert not Settings.of(Speed(energy=False), device="cpu").energy
