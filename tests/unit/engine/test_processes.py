"""Calls in processes of their own: results, errors on purpose, crashes, kills."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time

import psutil
import pytest

from segbench.engine.events import Notice, ignore
from segbench.engine.processes import (
    Limit,
    ProcessDied,
    call_here,
    call_in_fresh_process,
    call_in_process,
    describe_exit,
)
from segbench.errors import NonFiniteLossError, SuiteError, UnknownNameError


def double(number, *, observer):
    observer(Notice(f"doubling {number} in process {os.getpid()}"))
    return 2 * number


def refuse(kind, *, observer):
    errors = {
        "suite": SuiteError("is wrong", file="a.yaml", key="train.epochs"),
        "name": UnknownNameError("model", "unett", ["unet"]),
        "loss": NonFiniteLossError(float("nan"), epoch=2, step=7, learning_rate=0.5),
    }
    raise errors[kind]


def end_by(number, *, observer):
    os.kill(os.getpid(), number)


def stumble(*, observer):
    return {}[observer]


def crash(*, observer):
    os._exit(3)


def test_the_result_and_the_events_come_back_from_another_process():
    events = []
    assert call_in_process(double, 21, observer=events.append) == 42
    assert len(events) == 1
    assert str(os.getpid()) not in events[0].text.split()[-1:]


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs signals of Unix")
def test_a_server_that_is_killed_while_it_begins_a_process_is_told_and_the_next_call_begins_another():
    """As SIGTERM to all processes does: EOFError would end the command with nothing but 'Aborted!'."""
    assert call_in_process(double, 1, observer=ignore) == 2
    (server,) = [child for child in psutil.Process().children() if "forkserver" in " ".join(child.cmdline())]
    server.suspend()
    killing = threading.Timer(0.3, server.kill)
    killing.start()
    with pytest.raises(ProcessDied, match="the run's process could not be started: its server ended"):
        call_in_process(double, 21, observer=ignore)
    killing.join()
    assert call_in_process(double, 21, observer=ignore) == 42


def test_calling_here_is_the_same_without_a_process():
    events = []
    assert call_here(double, 21, observer=events.append) == 42
    assert events == [Notice(f"doubling 21 in process {os.getpid()}")]


@pytest.mark.parametrize(
    ("kind", "error", "message"),
    [
        ("suite", SuiteError, "a.yaml: train.epochs: is wrong"),
        ("name", UnknownNameError, "unknown model 'unett', did you mean 'unet'?"),
        ("loss", NonFiniteLossError, "epoch 2, step 7"),
    ],
)
def test_errors_on_purpose_come_back_as_themselves(kind, error, message):
    with pytest.raises(error, match=message.replace("?", r"\?")):
        call_in_process(refuse, kind, observer=ignore)


def test_the_attributes_of_an_error_come_back_too():
    with pytest.raises(NonFiniteLossError) as caught:
        call_in_process(refuse, "loss", observer=ignore)
    assert (caught.value.epoch, caught.value.step, caught.value.learning_rate) == (2, 7, 0.5)


def test_a_killed_process_is_told_with_its_signal():
    with pytest.raises(ProcessDied, match="killed by SIGKILL, probably because memory ran out"):
        call_in_process(end_by, signal.SIGKILL, observer=ignore)


def test_a_crashed_process_is_told_with_its_exit_code():
    with pytest.raises(ProcessDied, match="exit code 3"):
        call_in_process(crash, observer=ignore)


def test_an_unforeseen_error_is_told_with_its_place():
    with pytest.raises(ProcessDied, match="KeyError") as caught:
        call_in_process(stumble, observer=ignore)
    assert "in stumble" in caught.value.traceback


def test_exits_are_described_in_words():
    assert describe_exit(-signal.SIGSEGV) == "the run's process was killed by SIGSEGV"
    assert describe_exit(0) == "the run's process ended with exit code 0 and no result"


def hang(*, observer):
    observer("began")
    time.sleep(3600)


def tick(times, *, observer):
    for number in range(times):
        observer(number)
        time.sleep(0.2)
    return times


def leave_a_thread(*, observer):
    threading.Thread(target=time.sleep, args=(3600,)).start()
    return "done"


def leave(kind, *, observer):
    raise kind("over")


def test_a_call_that_says_nothing_is_ended_and_told():
    limit = Limit(silent_seconds=1.0, keys=("a", "silent_minutes"))
    heard = []
    with pytest.raises(ProcessDied, match=r"^made no progress for 1 s \(silent_minutes\), and was ended$"):
        call_in_process(hang, observer=heard.append, limit=limit)
    assert heard in (["began"], [])  # its process may take longer to start


def test_a_call_that_goes_on_talking_is_not_ended():
    assert call_in_process(tick, 10, observer=lambda event: None, limit=Limit(silent_seconds=30.0)) == 10


def test_a_call_that_takes_too_long_is_ended_however_much_it_says():
    limit = Limit(2.0, 30.0, keys=("minutes", "b"))
    with pytest.raises(ProcessDied, match=r"^was not done after 2 s \(minutes\), and was ended$"):
        call_in_process(tick, 10_000, observer=lambda event: None, limit=limit)


def test_a_thread_that_was_left_behind_keeps_no_one_waiting(monkeypatch):
    monkeypatch.setattr("segbench.engine.processes.ENDING_SECONDS", 0.5)
    assert call_in_process(leave_a_thread, observer=lambda event: None) == "done"
    assert not [child for child in multiprocessing.active_children() if "leave_a_thread" in child.name]


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit, BaseException])
def test_whatever_a_network_raises_is_told_with_its_place(kind, capfd):
    with pytest.raises(ProcessDied, match=f"^{kind.__name__}: over$") as caught:
        call_in_process(leave, kind, observer=lambda event: None)
    assert "in leave" in caught.value.traceback
    assert capfd.readouterr().err == ""


def add_up():
    return 1 + 1


@pytest.mark.parametrize("call", [call_in_process, call_in_fresh_process])
def test_ctrl_c_while_a_process_starts_reaches_this_one_alone(call, monkeypatch):
    """As from a terminal, which sends it to all processes at once; the new one has only begun to import."""
    told = []
    before = signal.signal(signal.SIGINT, lambda *_: told.append("here"))
    started = multiprocessing.process.BaseProcess.start

    def start_and_interrupt(process):
        started(process)
        os.kill(process.pid, signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(multiprocessing.process.BaseProcess, "start", start_and_interrupt)
    try:
        assert call(add_up) == 2
    finally:
        signal.signal(signal.SIGINT, before)
    assert told == ["here"]
