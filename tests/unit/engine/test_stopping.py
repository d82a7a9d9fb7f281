"""Claims about stopping: at a deadline, at SIGTERM, and everybody who depends on it is told."""

from __future__ import annotations

import os
import signal
import threading
import time

from segbench.engine.stopping import Stop


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
    with stop.on_sigterm(), stop.telling(lambda: told.append("told")):
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.due
    assert told == ["told"]
    assert signal.getsignal(signal.SIGTERM) is before


def test_who_handled_sigterm_before_is_told_too():
    outer, inner = Stop(), Stop()
    with outer.on_sigterm(), inner.on_sigterm():
        os.kill(os.getpid(), signal.SIGTERM)
    assert (outer.due, inner.due) == (True, True)


def test_another_thread_changes_no_handler():
    before, seen = signal.getsignal(signal.SIGTERM), []

    def work():
        with Stop().on_sigterm():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
