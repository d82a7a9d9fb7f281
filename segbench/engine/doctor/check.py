"""Tries one network: what it computes, whether it repeats, how fast it is, what it takes."""

from __future__ import annotations

import gc
import os
import time
from contextlib import nullcontext

import torch

from segbench.data.loading.threads import single_threaded
from segbench.engine.device import use_device
from segbench.engine.doctor.cases import NetworkCase
from segbench.engine.doctor.record import NetworkCheck
from segbench.engine.doctor.trial import Trial
from segbench.engine.events import Notice, Observer
from segbench.engine.out_of_memory import is_out_of_memory
from segbench.errors import SegbenchError


def check_network(case: NetworkCase, *, observer: Observer) -> NetworkCheck:
    """Try a network; whatever goes wrong is a problem in what is returned.

    Meant for a process of its own: after some faults of CUDA, nothing works in the process any more.

    Args:
        case: The network and what it is tried with.
        observer: Told of each part before it begins, by its name, so that the part is known in which a process dies.

    Raises:
        UsageError: There is no such device.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read once, before anything is multiplied
    started = time.perf_counter()
    gc.freeze()  # what was there before is not looked through at every collection, which takes half a second
    trial = Trial(case, use_device(case.device))
    with (
        single_threaded() if trial.device.type == "cpu" else nullcontext()
    ):  # of small images, several make nothing faster
        for name, part in trial.parts():
            observer(Notice(name))
            try:
                part()
            except Exception as error:  # what is wrong with a network is what is looked for
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
    text = " ".join(str(error).split())[:600]
    if is_out_of_memory(error):
        return f"out of memory: {text}"
    return text if isinstance(error, SegbenchError) else f"{type(error).__name__}: {text}"


def _device_is_lost(error: Exception) -> bool:
    """Return whether the error may be one after which CUDA refuses everything in this process."""
    return "CUDA error" in str(error) and not is_out_of_memory(error)


def _release_memory(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        try:
            torch.cuda.empty_cache()
        except RuntimeError:  # a device that is lost refuses this too
            return
