"""Measures one case once in this process: builds the network, times it, and returns the outcome."""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import nn

from segbench.config.component import ModelEntry
from segbench.config.load import check_part
from segbench.config.plan import Run
from segbench.engine.device import ComputeConfig, use_device
from segbench.engine.out_of_memory import is_out_of_memory
from segbench.engine.run.facts import compute_facts
from segbench.errors import DataError, ModelRefusal, one_line, typed_line
from segbench.results.environment import capture
from segbench.results.speed.record import Restart, SpeedCase, SpeedStatus, Task
from segbench.speed.measure.execution_modes import UnsupportedMode
from segbench.speed.measure.memory import resident_bytes
from segbench.speed.measure.timer import Timer


def measure(case: SpeedCase, device: str, seconds: float, run: Run | None = None, energy: bool = True) -> Restart:
    """Measure a case once; refusals and errors become the restart's status.

    Args:
        case: The case to time.
        device: cpu, cuda, cuda:N or mps.
        seconds: Time to spend on the samples.
        run: The run whose data is loaded; only for the task ``loading``.
        energy: Whether the accelerator's energy is measured too.
    """
    set_threads(case.threads)
    chosen = use_device("cpu" if case.task is Task.LOADING else device)
    if case.mode.startswith("compile"):
        forget_compiled()
    timer = Timer(chosen, seconds=seconds, energy=energy)
    try:
        return _timed(case, timer, run)
    except (ModelRefusal, UnsupportedMode, DataError) as reason:
        return Restart(status=SpeedStatus.SKIPPED, reason=str(reason))
    except Exception as error:  # an error in one case must not stop the others
        return _ended(error, case)


def _timed(case: SpeedCase, timer: Timer, run: Run | None) -> Restart:
    if case.task is Task.LOADING:
        from segbench.speed.measure.loading import time_loading

        assert run is not None
        return time_loading(run, timer)
    if case.task is Task.INFERENCE:
        from segbench.speed.measure.inference import time_inference as time_it
    else:
        from segbench.speed.measure.training import time_training as time_it  # imports all optimizers
    before = resident_bytes()
    network = built(case)
    return time_it(network, case, compute=compute_config_of(case, timer.device), timer=timer, resident_before=before)


def built(case: SpeedCase) -> nn.Module:
    """Build a case's network on the CPU, with random weights.

    Raises:
        UsageError: The network is unknown, or an option is invalid.
        ModelRefusal: The network cannot take images of this size.
    """
    from segbench.models.build import build_network, check_input

    entry = check_part(ModelEntry, {**case.model, "label": case.label}, key="model")
    network = build_network(entry, classes=case.classes, channels=case.channels, seed=0)
    check_input(network, *case.size)
    return network


def compute_config_of(case: SpeedCase, device: torch.device) -> ComputeConfig:
    """Return device, precision and memory layout of a case; weights that are cast before timing need no autocast."""
    precision = "fp32" if case.casting else case.precision
    return ComputeConfig(device, precision, case.channels_last)  # type: ignore[arg-type]


def _ended(error: Exception, case: SpeedCase) -> Restart:
    if is_out_of_memory(error):
        reason = f"out of memory with batches of {case.batch_size} images: {one_line(error)}"
        return Restart(status=SpeedStatus.OUT_OF_MEMORY, reason=reason)
    hint = "; 'casting: autocast' leaves its weights in float32" if case.casting else ""
    return Restart(status=SpeedStatus.FAILED, reason=f"{typed_line(error)}{hint}")


def fingerprint(device: str, threads: int | None) -> dict[str, Any]:
    """Return the machine's fingerprint for measurements with ``threads`` threads on ``device``."""
    set_threads(threads)
    chosen = use_device(device)
    uname = os.uname() if hasattr(os, "uname") else None
    extra = compute_facts(chosen) | {
        "system": f"{uname.sysname} {uname.machine}" if uname else os.name,
        "affinity": sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "cudnn_benchmark": torch.backends.cudnn.benchmark,
    }
    found = capture(str(chosen), extra)
    if chosen.type == "cuda" and found["accelerator"] is None:  # without NVML, torch still knows name and memory
        properties = torch.cuda.get_device_properties(chosen)
        found["accelerator"] = {"name": properties.name, "driver": None, "memory_bytes": properties.total_memory}
    return found


def forget_compiled() -> None:
    """Disable the compiler's caches in this process; else only the first restart would compile."""
    import torch._inductor.config as compiler

    compiler.force_disable_caches = True
    os.environ["TORCHINDUCTOR_FORCE_DISABLE_CACHES"] = "1"  # for compiler processes; torch has read it already


def set_threads(threads: int | None) -> None:
    """Set the CPU threads per operation; None leaves the choice to torch."""
    if threads is not None:
        torch.set_num_threads(threads)
