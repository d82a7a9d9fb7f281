"""The timer: a judged warm-up, and samples that are all kept."""

from __future__ import annotations

from itertools import count

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from segbench.speed.measure.timer import (
    LEAST_SAMPLES,
    LEAST_SLOW_SAMPLES,
    LONG_WINDOW_SECONDS,
    WINDOW_SECONDS,
    Timer,
    is_steady,
)

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("before", "last", "steady"),
    [
        ([], [1.0] * 3, False),
        ([1.0] * 3, [1.0] * 3, True),
        ([1.0] * 8, [1.019] * 8, True),
        ([1.0] * 8, [1.021] * 8, False),
        ([1.021] * 8, [1.0] * 8, False),
        ([1.0, 50.0, 1.0], [1.0] * 3, True),
    ],
    ids=["no window before", "equal windows", "2 % apart", "more than 2 %", "more than 2 % down", "one outlier"],
)
def test_a_state_is_steady_when_the_medians_of_two_windows_agree_within_two_per_cent(before, last, steady):
    assert is_steady(before, last) is steady


windows = st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=12)


@given(windows, windows)
def test_whether_a_state_is_steady_does_not_depend_on_the_unit(before, last):
    assert is_steady([2.0 * time for time in before], [2.0 * time for time in last]) is is_steady(before, last)


class Clock:
    """A clock that only ``sleep`` moves, so that no test depends on how busy the machine is."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def clock():
    return Clock()


def test_a_warm_up_of_quick_calls_lasts_as_long_as_two_windows(clock):
    warmup = Timer(CPU, clock=clock).warm_up(lambda: clock.sleep(0.001))
    assert 2 * WINDOW_SECONDS <= warmup.seconds <= 2 * WINDOW_SECONDS + 0.003
    assert warmup.seconds == pytest.approx(0.001 * warmup.calls)


def test_slow_calls_settle_after_six_of_them(clock):
    warmup = Timer(CPU, clock=clock).warm_up(lambda: clock.sleep(0.15))
    assert warmup.steady
    assert warmup.calls == 7


def test_a_warm_up_that_never_settles_ends_at_its_cap_and_says_so(clock):
    pauses = count(1)
    warmup = Timer(CPU, warmup_cap_seconds=0.3, clock=clock).warm_up(lambda: clock.sleep(0.002 * next(pauses)))
    assert not warmup.steady
    assert warmup.seconds >= 0.3
    assert warmup.calls < 40


def test_the_first_call_is_told_apart(clock):
    pauses = iter([0.2, *[0.001] * 10_000])
    warmup = Timer(CPU, clock=clock).warm_up(lambda: clock.sleep(next(pauses)))
    assert warmup.first_call_seconds == 0.2
    assert warmup.seconds > warmup.first_call_seconds


def test_every_call_of_the_sampling_is_kept():
    calls = count()
    samples = Timer(CPU, seconds=0.02).sample(lambda: next(calls))
    assert len(samples.host) == next(calls)
    assert min(samples.host) > 0
    assert samples.device == ()


def test_ten_calls_are_sampled_when_they_take_little_longer_than_asked_for(clock):
    timer = Timer(CPU, seconds=0.05, clock=clock)
    assert len(timer.sample(lambda: clock.sleep(0.0055)).host) == LEAST_SAMPLES


def test_slow_calls_are_sampled_twice_whatever_the_time(clock):
    assert len(Timer(CPU, seconds=0.001, clock=clock).sample(lambda: clock.sleep(0.003)).host) == LEAST_SLOW_SAMPLES


def test_a_call_as_long_as_a_window_is_one_the_first_included(clock):
    warmup = Timer(CPU, clock=clock).warm_up(lambda: clock.sleep(LONG_WINDOW_SECONDS + 0.05))
    assert warmup.steady
    assert warmup.calls == 2
