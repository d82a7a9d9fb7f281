"""Measures one case once, in this process: builds the network, times it, and says how it ended."""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import nn

from segbench.config.component import ModelEntry
from segbench.config.load import check_part
from segbench.config.plan import Run
from segbench.engine.arithmetic import Arithmetic
from segbench.engine.events import Observer, ignore
from segbench.engine.facts import compute_facts
from segbench.errors import ModelRefusal, UsageError
from segbench.results.environment import capture
from segbench.results.speed_record import Restart, SpeedCase, SpeedStatus, Task
from segbench.speed.inference import time_inference
from segbench.speed.loading import time_loading
from segbench.speed.memory import resident_bytes
from segbench.speed.modes import NotHere
from segbench.speed.timer import Timer
from segbench.speed.training import time_training

_MEMORY_SIGNS = ("out of memory", "can't allocate memory", "not enough memory")


def measure(
    case: SpeedCase,
    device: str,
    seconds: float,
    run: Run | None = None,
    *,
    observer: Observer = ignore,  # noqa: ARG001 - every function that is called in a process takes one
) -> Restart:
    """Measure a case once; what a network cannot do, and what goes wrong, is the restart's status.

    Args:
        case: What to time.
        device: cpu, cuda, cuda:N or mps.
        seconds: Time to spend on the samples.
        run: The run whose data is loaded; only for the task ``loading``.
        observer: Not used.

    Raises:
        UsageError: The case, its recipe or its data is wrong.
    """
    set_threads(case.threads)
    chosen = torch.device(device)
    timer = Timer(chosen, seconds=seconds)
    try:
        return _timed(case, timer, run)
    except (ModelRefusal, NotHere) as reason:
        return Restart(status=SpeedStatus.SKIPPED, reason=str(reason))
    except UsageError:
        raise
    except Exception as error:  # one case's fault must not stop the others
        return _ended(error, case)


def _timed(case: SpeedCase, timer: Timer, run: Run | None) -> Restart:
    if case.task is Task.LOADING:
        assert run is not None
        return time_loading(run, timer)
    before = resident_bytes()
    network = built(case)
    time_it = time_inference if case.task is Task.INFERENCE else time_training
    return time_it(network, case, arithmetic=arithmetic_of(case, timer.device), timer=timer, resident_before=before)


def built(case: SpeedCase) -> nn.Module:
    """Build a case's network on the CPU, with random weights.

    Raises:
        UsageError: An option is impossible.
        ModelRefusal: The network cannot take images of this size.
    """
    from segbench.models.build import build_network, check_input

    entry = check_part(ModelEntry, {**case.model, "label": case.label}, key="model")
    network = build_network(entry, classes=case.classes, channels=case.channels, seed=0)
    check_input(network, *case.size)
    return network


def arithmetic_of(case: SpeedCase, device: torch.device) -> Arithmetic:
    """Return the numbers and the layout that a case computes in."""
    return Arithmetic(device, case.precision, case.channels_last)  # type: ignore[arg-type]


def _ended(error: Exception, case: SpeedCase) -> Restart:
    text = " ".join(str(error).split())[:500]
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or any(sign in text for sign in _MEMORY_SIGNS):
        reason = f"out of memory with batches of {case.batch_size} images: {text}"
        return Restart(status=SpeedStatus.OUT_OF_MEMORY, reason=reason)
    return Restart(status=SpeedStatus.FAILED, reason=f"{type(error).__name__}: {text}")


def fingerprint(
    device: str,
    threads: int | None,
    *,
    observer: Observer = ignore,  # noqa: ARG001 - see measure
) -> dict[str, Any]:
    """Describe the machine, as the measurements of ``threads`` threads on ``device`` see it."""
    set_threads(threads)
    uname = os.uname() if hasattr(os, "uname") else None
    extra = compute_facts(torch.device(device)) | {
        "system": f"{uname.sysname} {uname.machine}" if uname else os.name,
        "affinity": sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
    }
    return capture(device, extra)


def set_threads(threads: int | None) -> None:
    """Let operations on the processor use so many threads; None leaves torch's choice."""
    if threads is not None:
        torch.set_num_threads(threads)
