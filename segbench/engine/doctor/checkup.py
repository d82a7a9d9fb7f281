"""Checks networks one after another, each in a separate process, within a time limit."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext

import torch

from segbench.data.loading.threads import single_threaded
from segbench.engine.device import use_device
from segbench.engine.doctor.cases import NetworkCase
from segbench.engine.doctor.record import NetworkCheck
from segbench.engine.doctor.trial import Trial
from segbench.engine.events import Event, Notice, Observer
from segbench.engine.out_of_memory import is_out_of_memory
from segbench.engine.processes import CallStopped, call_in_process, stop_calls
from segbench.errors import SegbenchError, one_line, typed_line


def check_network(case: NetworkCase, *, observer: Observer) -> NetworkCheck:
    """Check a network; any error is returned as a problem.

    Meant for a separate process, because some CUDA errors make a process unusable.

    Args:
        case: The network with its inputs and recipe.
        observer: Called with the name of each part before it starts, so that the part is known if the process dies.

    Raises:
        UsageError: The device does not exist.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read once, before the first matrix multiplication
    started = time.perf_counter()
    gc.freeze()  # excludes existing objects from garbage collection, which saves half a second each time
    trial = Trial(case, use_device(case.device))
    with (
        single_threaded() if trial.device.type == "cpu" else nullcontext()
    ):  # several threads do not help with small images
        for name, part in trial.parts():
            observer(Notice(name))
            try:
                part()
            except Exception as error:  # any error is a finding
                trial.problems.append(f"{name}: {_in_words(error)}")
                if trial.base is None or _device_is_lost(error):
                    break
            finally:
                _release_memory(trial.device)
    gc.unfreeze()
    return NetworkCheck(
        case.model.label,
        problems=tuple(trial.problems),
        notes=tuple(trial.notes),
        seconds=time.perf_counter() - started,
        **trial.found,
    )


def _in_words(error: Exception) -> str:
    if is_out_of_memory(error):
        return f"out of memory: {one_line(error, most=600)}"
    return one_line(error, most=600) if isinstance(error, SegbenchError) else typed_line(error, most=600)


def _device_is_lost(error: Exception) -> bool:
    """Return whether CUDA may be unusable in this process after the error."""
    return "CUDA error" in str(error) and not is_out_of_memory(error)


def _release_memory(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        try:
            torch.cuda.empty_cache()
        except RuntimeError:  # fails too if the device is lost
            return


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
