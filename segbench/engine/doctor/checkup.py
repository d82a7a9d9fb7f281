"""Tries one network after another, each in a process of its own, within a given time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from segbench.engine.doctor.cases import NetworkCase
from segbench.engine.doctor.check import check_network
from segbench.engine.doctor.record import NetworkCheck
from segbench.engine.events import Event, Notice
from segbench.engine.processes import CallStopped, call_in_process, stop_calls
from segbench.errors import SegbenchError

OUT_OF_TIME = "not tried: out of time"

STOP_SECONDS = 0.5
"""Between two stops of what still runs when the time is over."""


def check_networks(cases: Iterable[NetworkCase], *, deadline: float | None) -> Iterator[NetworkCheck]:
    """Try networks one after the other; yield what was found of each as soon as it is known.

    Each has a process of its own. That costs a second or two a network, for a CUDA context, and buys that a crash, or
    an error after which CUDA refuses everything, is the problem of one network; that peak memory is its own; and that
    one which never ends can be ended.

    Args:
        cases: The networks.
        deadline: When to stop, on the clock of ``time.monotonic``; None for never. A network that is under way then is
            ended; it and those after it have a problem that says so.
    """
    for case in cases:
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            yield NetworkCheck(case.model.label, problems=(OUT_OF_TIME,))
        else:
            yield _checked(case, left)


def _checked(case: NetworkCase, seconds: float | None) -> NetworkCheck:
    part = "starting"

    def follow(event: Event) -> None:
        nonlocal part
        if isinstance(event, Notice):
            part = event.text

    started = time.monotonic()
    try:
        with stopping_after(seconds):
            found: NetworkCheck = call_in_process(check_network, case, observer=follow)
            return found
    except CallStopped:
        problem = f"{part}: stopped: out of time"
    except SegbenchError as error:
        problem = f"{part}: {error}"
    return NetworkCheck(case.model.label, problems=(problem,), seconds=time.monotonic() - started)


@contextmanager
def stopping_after(seconds: float | None) -> Iterator[None]:
    """End the processes that calls of this one wait for when the time is over; None lets them be.

    This is repeated until the block is over: a process that was being started is not known the first time.
    """
    if seconds is None:
        yield
        return
    over = threading.Event()

    def stop() -> None:
        wait = seconds
        while not over.wait(wait):
            stop_calls()
            wait = STOP_SECONDS

    thread = threading.Thread(target=stop, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()  # no call after the block may be ended
