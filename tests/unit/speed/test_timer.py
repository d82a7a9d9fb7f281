"""The timer: a judged warm-up, and samples that are all kept."""

from __future__ import annotations

import time
from itertools import count

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from segbench.speed.timer import LEAST_SAMPLES, WINDOW_CALLS, Timer, is_steady

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("times", "steady"),
    [
        ([1.0] * 15, False),
        ([1.0] * 16, True),
        ([1.0] * 8 + [1.019] * 8, True),
        ([1.0] * 8 + [1.021] * 8, False),
        ([9.0] * 8 + [1.0] * 16, True),
        ([1.0] * 7 + [50.0] + [1.0] * 8, True),
    ],
    ids=["too few", "equal windows", "2 % apart", "more than 2 %", "old calls", "one outlier"],
)
def test_a_state_is_steady_when_the_medians_of_two_windows_agree_within_two_per_cent(times, steady):
    assert is_steady(times, window=8) is steady


@given(
    times=st.lists(st.floats(1e-6, 1e3), min_size=2 * WINDOW_CALLS, max_size=4 * WINDOW_CALLS), unit=st.floats(0.1, 10)
)
def test_whether_a_state_is_steady_does_not_depend_on_the_unit(times, unit):
    assert is_steady([2.0 * time for time in times]) is is_steady(times)


def test_a_warm_up_that_never_settles_ends_at_its_cap_and_says_so():
    pauses = count(1)
    warmup = Timer(CPU, warmup_cap_seconds=0.3).warm_up(lambda: time.sleep(0.002 * next(pauses)))
    assert not warmup.steady
    assert warmup.seconds >= 0.3
    assert warmup.calls < 40


def test_the_first_call_is_told_apart():
    pauses = iter([0.2, *[0.001] * 10_000])
    warmup = Timer(CPU).warm_up(lambda: time.sleep(next(pauses)))
    assert warmup.first_call_seconds >= 0.2
    assert warmup.seconds > warmup.first_call_seconds


def test_every_call_of_the_sampling_is_kept():
    calls = count()
    samples = Timer(CPU, seconds=0.02).sample(lambda: next(calls))
    assert len(samples.host) == next(calls)
    assert min(samples.host) > 0
    assert samples.device == ()


def test_slow_calls_are_sampled_ten_times_whatever_the_time():
    assert len(Timer(CPU, seconds=0.001).sample(lambda: time.sleep(0.003)).host) == LEAST_SAMPLES
