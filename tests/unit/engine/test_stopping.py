"""Claims about stopping: at a deadline, at SIGTERM, and everybody who depends on it is told."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from segbench.engine.stopping import Stop


@pytest.fixture(autouse=True)
def _usual_signals():
    """No signal is ignored, as some are in the background of a shell and under nohup."""
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL, signal.SIGHUP: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_without_a_limit_it_is_never_time():
    stop = Stop.after(None)
    assert stop.seconds_left is None
    assert not stop.due


def test_after_its_time_it_is_time_and_none_is_left():
    assert not Stop.after(60).due
    assert 59 < Stop.after(60).seconds_left <= 60
    over = Stop(deadline=time.time() - 1)
    assert over.due
    assert over.seconds_left == 0


def test_sigterm_is_the_word_to_stop_inside_the_context_only():
    before, stop, told = signal.getsignal(signal.SIGTERM), Stop(), []
    with stop.on_signals(), stop.telling(lambda: told.append("told")):
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.due
    assert told == ["told"]
    assert signal.getsignal(signal.SIGTERM) is before


def test_who_handled_sigterm_before_is_told_too():
    outer, inner = Stop(), Stop()
    with outer.on_signals(), inner.on_signals():
        os.kill(os.getpid(), signal.SIGTERM)
    assert (outer.due, inner.due) == (True, True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_each_signal_is_the_word_to_stop_and_ctrl_c_is_remembered(number):
    usual, stop = signal.getsignal(number), Stop()
    with stop.on_signals():
        os.kill(os.getpid(), number)
    assert stop.due
    assert stop.interrupted is (number == signal.SIGINT)
    assert signal.getsignal(number) is usual


def test_a_second_ctrl_c_ends_at_once_also_within_another_context():
    stop, told = Stop(), []
    with stop.on_signals(), Stop().on_signals(), stop.telling(lambda: told.append(1)):
        os.kill(os.getpid(), signal.SIGINT)
        assert told == [1]
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert told == [1]


def test_a_signal_that_is_ignored_stays_so():
    """As SIGHUP under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        stop = Stop()
        with stop.on_signals():
            os.kill(os.getpid(), signal.SIGHUP)
        assert not stop.due
    finally:
        signal.signal(signal.SIGHUP, before)


def test_another_thread_changes_no_handler():
    before, seen = signal.getsignal(signal.SIGTERM), []

    def work():
        with Stop().on_signals():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
