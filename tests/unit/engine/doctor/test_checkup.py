"""Claims about the time limit of networks that are tried: it holds, and ends with its block."""

from __future__ import annotations

import time

import pytest

from segbench.engine.doctor.checkup import stopping_after
from segbench.engine.events import ignore
from segbench.engine.processes import CallStopped, call_in_process


def sleep_for(seconds, *, observer):
    time.sleep(seconds)
    return "slept"


def test_a_call_that_begins_after_the_time_is_over_is_ended_too():
    with stopping_after(0.0):
        time.sleep(0.2)  # the first stop meets no call
        with pytest.raises(CallStopped):
            call_in_process(sleep_for, 30.0, observer=ignore)


def test_a_call_after_the_block_is_not_ended():
    with stopping_after(0.0):
        time.sleep(0.1)
    assert call_in_process(sleep_for, 0.7, observer=ignore) == "slept"  # longer than the time between two stops
