"""Summaries of speed records, worked by hand."""

from __future__ import annotations

import pandas as pd
import pytest
from speed_cases import record, restart

from segbench.report.ranking.speed_summary import SPEED_COLUMNS, speed_frame
from segbench.results.speed.record import Conditions, Memory, SpeedStatus, Task, Warmup


def row(*restarts, **changes):
    """Return the only row of a record's summary."""
    return speed_frame([record(*restarts, **changes)]).iloc[0]


def test_throughput_and_its_range_are_over_restarts():
    found = row(restart(0.1, 0.1, 0.1), restart(0.2, 0.2, 9.0), restart(0.4, 0.4, 0.4), batch_size=2)
    assert found["images_per_second"] == pytest.approx(10.0)
    assert found["images_per_second_low"] == pytest.approx(5.0)
    assert found["images_per_second_high"] == pytest.approx(20.0)
    assert (found["restarts"], found["samples"]) == (3, 9)


def test_latencies_are_percentiles_of_all_samples_in_milliseconds():
    found = row(restart(*(0.001 * number for number in range(1, 102))))
    assert found["latency_p50_ms"] == pytest.approx(51.0)
    assert found["latency_p90_ms"] == pytest.approx(91.0)
    assert pd.isna(found["latency_p99_ms"])


def test_the_99th_percentile_takes_a_thousand_samples():
    assert pd.isna(row(restart(*[0.001] * 999))["latency_p99_ms"])
    assert row(restart(*[0.001] * 500), restart(*[0.001] * 500))["latency_p99_ms"] == pytest.approx(1.0)


def test_on_cuda_throughput_is_the_devices_and_latency_the_hosts():
    found = row(restart(0.5, 0.5, device_seconds=(0.25, 0.25)), device="cuda", threads=None)
    assert found["images_per_second"] == pytest.approx(4.0)
    assert found["latency_p50_ms"] == pytest.approx(500.0)


def test_a_row_says_what_is_cast():
    assert row(restart(0.1))["casting"] is None
    assert row(restart(0.1), precision="bf16")["casting"] == "autocast"
    assert row(restart(0.1), precision="bf16", casting="weights")["casting"] == "weights"


def test_shares_of_a_training_step_add_up_to_one():
    parts = {"forward": (0.1, 0.1), "backward": (0.2, 0.2), "optimizer": (0.1, 0.1)}
    found = row(restart(0.4, parts_seconds=parts), task=Task.TRAINING)
    assert found["forward_share"] == pytest.approx(0.25)
    assert found["backward_share"] == pytest.approx(0.5)
    assert found["optimizer_share"] == pytest.approx(0.25)


def test_a_loaders_start_and_first_epoch_stand_apart():
    parts = {"start": (3.0,), "first": (0.5, 0.5), "later": (0.1,)}
    found = row(restart(0.1, parts_seconds=parts, warmup=None), task=Task.LOADING, batch_size=2)
    assert found["start_seconds"] == 3.0
    assert found["first_epoch_images_per_second"] == pytest.approx(4.0)
    assert found["images_per_second"] == pytest.approx(20.0)


def test_memory_on_a_processor_is_what_the_process_grew_by():
    grown = Memory(process_before_bytes=100, process_peak_bytes=350)
    shrunk = Memory(process_before_bytes=400, process_peak_bytes=350)
    assert row(restart(1.0, memory=shrunk), restart(1.0, memory=grown))["peak_memory_bytes"] == 250
    assert row(restart(1.0, memory=shrunk))["peak_memory_bytes"] == 0


def test_memory_on_cuda_is_what_was_allocated():
    memory = Memory(allocated_peak_bytes=7, reserved_peak_bytes=9, process_before_bytes=1, process_peak_bytes=99)
    found = row(restart(1.0, memory=memory))
    assert (found["peak_memory_bytes"], found["reserved_memory_bytes"]) == (7, 9)


def test_energy_is_by_image_and_absent_without_a_counter():
    assert row(restart(1.0, energy_joules=120.0, energy_calls=10), batch_size=4)["joules_per_image"] == 3.0
    assert pd.isna(row(restart(1.0))["joules_per_image"])


def test_one_restart_that_never_settled_or_was_throttled_marks_the_case():
    unsettled = Warmup(first_call_seconds=1.0, calls=9, seconds=10.0, steady=False)
    hot = Conditions(throttled=True, steal_share=0.125)
    found = row(restart(1.0), restart(1.0, warmup=unsettled, conditions=hot))
    assert not found["steady"]
    assert found["throttled"]
    assert found["steal_share"] == 0.125


def test_a_case_that_was_not_measured_is_a_row_with_its_reason():
    lost = restart(status=SpeedStatus.OUT_OF_MEMORY, reason="out of memory with batches of 8 images", warmup=None)
    found = row(lost, lost, batch_size=8)
    assert found["status"] == "out of memory"
    assert found["reason"] == "out of memory with batches of 8 images"
    assert found["restarts"] == 0
    assert pd.isna(found["images_per_second"])


def test_a_restart_that_was_lost_does_not_count_in_the_figures():
    lost = restart(status=SpeedStatus.FAILED, reason="RuntimeError: x", warmup=None)
    found = row(lost, restart(0.5))
    assert (found["status"], found["restarts"], found["images_per_second"]) == ("measured", 1, pytest.approx(2.0))


def test_no_records_make_a_table_without_rows():
    assert list(speed_frame([]).columns) == list(SPEED_COLUMNS)
    assert speed_frame([]).empty
