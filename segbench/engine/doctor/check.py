"""Checks one network: results, reproducibility, speed and memory."""

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
    text = " ".join(str(error).split())[:600]
    if is_out_of_memory(error):
        return f"out of memory: {text}"
    return text if isinstance(error, SegbenchError) else f"{type(error).__name__}: {text}"


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
