"""Checks networks one after another, each in a separate process, within a time limit."""

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
"""Seconds between attempts to stop running processes after the deadline."""


def check_networks(cases: Iterable[NetworkCase], *, deadline: float | None) -> Iterator[NetworkCheck]:
    """Check networks one after another; yields each result as soon as it is known.

    Each network has a separate process, which costs a second or two for a CUDA context. So a crash or a lost CUDA
    device affects only one network, peak memory is measured separately, and a network that hangs can be stopped.

    Args:
        cases: The networks.
        deadline: When to stop, by ``time.monotonic``; None for no limit. The current network is then stopped; it and
            all later ones get a problem that says so.
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
    """Stop the processes of current calls at the deadline; None sets no limit.

    This is repeated until the block ends, because a process that is just starting is missed at first.
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
        thread.join()  # must not stop calls after the block
