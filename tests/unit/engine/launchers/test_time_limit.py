"""Claims about a time limit: what ends in time begins, what does not is left, and the pace seen corrects estimates."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segbench.engine.estimate.estimate import RunEstimate
from segbench.engine.events import Notice, Progress, RunEnded, ignore
from segbench.engine.launchers.time_limit import TimeLimit, ending_calls
from segbench.engine.processes import CallStopped, ProcessDied, call_in_process
from segbench.engine.stopping import Stop
from segbench.results.record import Status


class Clock:
    """A clock that goes on when it is told to, and a stop that goes by it."""

    def __init__(self, limit):
        self.now, self.limit, self.terminated = 0.0, limit, False

    def __call__(self):
        return self.now

    @property
    def seconds_left(self):
        return None if self.limit is None else max(0.0, self.limit - self.now)

    @property
    def due(self):
        return self.terminated or self.seconds_left == 0


def limited(limit, seconds, **options):
    """A limit over runs that take so many seconds each, with nothing but training."""
    clock = Clock(limit)
    estimates = {name: RunEstimate(name, name, 0, training_seconds=time) for name, time in seconds.items()}
    subject = TimeLimit(clock, estimates, clock=clock, **options)
    subject.expect(seconds)
    return subject, clock


def trained(run_id, done, total):
    return Progress(run_id, "training", done, total, "steps")


def ended(run_id):
    return RunEnded(run_id, run_id, Status.COMPLETED, None, 1.0, 0.5)


def test_a_run_that_does_not_end_in_time_is_left_for_a_shorter_one():
    limit, _ = limited(100, {"short": 60, "long": 300, "shorter": 30})
    assert [limit.try_start(name) for name in ("short", "long", "shorter")] == [True, False, True]


def test_where_none_would_end_in_time_the_first_begins_and_no_other():
    limit, clock = limited(100, {"long": 300, "longer": 400})
    assert limit.try_start("long")
    clock.now = 50
    assert not limit.try_start("longer")


def test_the_first_waits_for_none_that_is_over():
    limit, clock = limited(100, {"long": 300, "short": 80})
    assert not limit.try_start("long")
    clock.now = 30  # the short one would not end in time any more, either
    assert limit.try_start("short")


def test_when_it_is_time_nothing_begins():
    limit, clock = limited(100, {"first": 10, "second": 10})
    clock.now = 100
    assert not limit.try_start("first")
    limit, clock = limited(None, {"first": 10})
    clock.terminated = True
    assert not limit.try_start("first")


def test_without_an_estimate_a_run_begins_as_long_as_time_is_left():
    clock = Clock(100)
    limit = TimeLimit(clock, {}, clock=clock)
    limit.expect(["unknown", "another"])
    assert limit.try_start("unknown")
    clock.now = 99
    assert limit.try_start("another")


def test_without_a_limit_everything_begins():
    limit, _ = limited(None, {"first": 1e9, "second": 1e9})
    assert limit.try_start("first")
    assert limit.try_start("second")


def test_a_run_that_is_slower_than_estimated_makes_the_others_longer():
    limit, clock = limited(100, {"first": 20, "second": 40})
    tell = limit.watching(ignore)
    limit.try_start("first")
    clock.now = 30
    tell(trained("first", 1, 2))  # 30 seconds for 10
    assert limit.pace == pytest.approx(3)
    assert not limit.try_start("second")  # 120 seconds, and 70 are left


def test_a_run_that_is_faster_makes_room():
    limit, clock = limited(30, {"first": 25, "second": 25})
    tell = limit.watching(ignore)
    limit.try_start("first")
    clock.now = 13
    tell(ended("first"))
    assert limit.pace == pytest.approx(13 / 25)
    assert limit.try_start("second")


def test_what_has_hardly_begun_says_nothing_of_the_pace():
    limit, clock = limited(100, {"first": 20, "second": 40})
    tell = limit.watching(ignore)
    limit.try_start("first")
    clock.now = 20
    tell(trained("first", 1, 20))
    assert limit.pace == 1


def test_a_run_that_was_refused_may_begin_when_others_turn_out_faster():
    limit, clock = limited(30, {"first": 25, "second": 25}, at_once=2)
    tell = limit.watching(ignore)
    assert limit.try_start("first")
    assert not limit.try_start("second")
    clock.now = 13
    tell(ended("first"))
    assert limit.try_start("second")


def test_steps_that_a_saved_state_holds_are_no_work_of_this_command():
    whole = RunEstimate("a", "a", 0, training_seconds=100, steps=100)
    limit, clock = limited(1000, {"a": 100})
    limit.estimates = {"a": whole.after(80)}
    tell = limit.watching(ignore)
    limit.try_start("a")
    clock.now = 20
    tell(trained("a", 90, 100))  # ten steps in twenty seconds, one second each was estimated
    assert limit.pace == pytest.approx(2)


def test_a_run_that_failed_says_nothing_of_the_pace():
    limit, clock = limited(100, {"first": 60, "second": 60})
    tell = limit.watching(ignore)
    limit.try_start("first")
    clock.now = 1
    tell(RunEnded("first", "first", Status.FAILED, "why", 1.0, None))
    assert limit.pace == 1


def test_runs_that_share_a_device_are_taken_to_be_slower():
    limit, _ = limited(100, {"first": 60, "second": 30}, at_once=2)
    assert not limit.try_start("first")
    assert limit.try_start("second")


def test_what_a_saved_state_holds_is_not_done_again():
    whole = RunEstimate("a", "a", 0, overhead_seconds=5, training_seconds=100, evaluation_seconds=10, steps=200)
    assert whole.after(150).seconds == pytest.approx(5 + 25 + 10)
    assert whole.after(0) == whole
    assert whole.after(200).training_seconds == 0


def test_everything_is_passed_on():
    limit, _ = limited(100, {"first": 60})
    told = []
    events = [trained("first", 1, 2), Notice("something"), ended("first"), ended("unknown")]
    for event in events:
        limit.watching(told.append)(event)
    assert told == events


@given(
    limit=st.integers(1, 400),
    seconds=st.lists(st.integers(1, 200), min_size=1, max_size=8),
    speed=st.floats(0.6, 5),
)
def test_only_the_first_run_of_a_command_may_be_stopped_and_one_that_fits_never_is_with_a_known_pace(
    limit, seconds, speed
):
    """Runs one after the other, each as much slower than estimated as all others."""
    limit_of, clock = limited(limit, {str(number): time for number, time in enumerate(seconds)})
    tell, stopped = limit_of.watching(ignore), []
    for number, time_of in enumerate(seconds):
        if not limit_of.try_start(str(number)):
            continue
        pace_known = limit_of.pace == pytest.approx(min(max(speed, 0.5), 10))
        clock.now += time_of * speed
        if clock.now > limit:
            stopped.append((number, pace_known))
            break
        tell(ended(str(number)))
    assert all(not known or number == 0 for number, known in stopped)


def sleeping(*, observer):
    observer(Notice("asleep"))
    time.sleep(600)


def test_calls_that_do_not_end_when_it_is_time_are_forced_to(monkeypatch):
    monkeypatch.setattr("segbench.engine.launchers.time_limit.GRACE_SECONDS", 0.1)
    stop = Stop()
    with pytest.raises(CallStopped), ending_calls(stop):
        call_in_process(sleeping, observer=lambda event: setattr(stop, "deadline", time.time()))


def test_a_call_that_begins_after_sigterm_is_told_too_and_later_ones_are_not():
    stop = Stop()
    with ending_calls(stop):
        stop.terminate()
        with pytest.raises(ProcessDied, match="SIGTERM"):
            call_in_process(sleeping, observer=ignore)
    assert call_in_process(awake, observer=ignore) == "awake"


def awake(*, observer):
    return "awake"


def test_calls_are_told_to_end_by_sigterm_at_once():
    stop = Stop()
    with pytest.raises(ProcessDied, match="SIGTERM"), ending_calls(stop):
        call_in_process(sleeping, observer=lambda event: stop.terminate())
