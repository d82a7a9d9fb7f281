"""Times a deployed network by the harness of ``segbench speed``: fresh processes, judged warm-up, the run's threads."""

from __future__ import annotations

import torch

from segbench.deployment.runtimes.catalog import RUNTIMES, import_code, knows_memory
from segbench.deployment.runtimes.job import Job
from segbench.deployment.suite.task import Task, trained_network
from segbench.engine.device import use_device
from segbench.engine.processes import ProcessDied, call_in_fresh_process
from segbench.errors import typed_line
from segbench.results.deployments.record import Timing
from segbench.results.speed.record import Memory, Restart, SpeedCase, SpeedStatus
from segbench.results.speed.record import Task as SpeedTask
from segbench.speed.measure.case import set_threads
from segbench.speed.measure.inputs import random_batches
from segbench.speed.measure.memory import resident_bytes
from segbench.speed.measure.sampling import Prepared, sampled
from segbench.speed.measure.timer import Timer


def timings(task: Task, job: Job) -> tuple[Timing, ...]:
    """Time calls for every batch size of the block, each restart in a fresh process."""
    return tuple(
        Timing(
            batch_size=size,
            size=job.sizes[0],
            restarts=tuple(_restart(task, job, size) for _ in range(task.block.restarts)),
        )
        for size in task.block.batch_sizes
    )


def _restart(task: Task, job: Job, batch_size: int) -> Restart:
    try:
        return call_in_fresh_process(time_calls, task, job, batch_size)
    except ProcessDied as death:
        return Restart(status=SpeedStatus.FAILED, reason=str(death))


def time_calls(task: Task, job: Job, batch_size: int) -> Restart:
    """Time calls in this process, on random images that are on the device, laid out as the network takes them.

    What the runtime itself takes is in memory before memory is measured. On CUDA, the memory of runtimes that do not
    allocate it by PyTorch is not known.
    """
    set_threads(job.threads)
    device = use_device(task.device)
    timer = Timer(device, seconds=task.block.seconds)
    try:
        import_code(job.target.runtime)
        before = resident_bytes()
        module = RUNTIMES[task.target.runtime].load(lambda: trained_network(task), job).eval()
        batches = random_batches(_case(task, job, batch_size), job.compute)
        images = batches.next_images()
        with torch.inference_mode(), job.compute.matrix_precision():
            call = Prepared(lambda: module(images()), "eager", 0.0, batches.spare_bytes)
            found = sampled(call, timer, resident_before=before)
        return found if knows_memory(job.target.runtime, device) else found.model_copy(update={"memory": Memory()})
    except Exception as error:  # the record keeps what was found before
        return Restart(status=SpeedStatus.FAILED, reason=typed_line(error))


def _case(task: Task, job: Job, batch_size: int) -> SpeedCase:
    """Return the case whose images are drawn."""
    return SpeedCase(
        task=SpeedTask.INFERENCE,
        label=task.run.label,
        model={},
        classes=2,
        channels=job.channels,
        size=job.sizes[0],
        batch_size=batch_size,
        precision="fp32",
        channels_last=job.channels_last,
        mode="eager",
        device=job.place.type,
        threads=job.threads,
    )
