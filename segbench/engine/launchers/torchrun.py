"""Executes the runs of a suite one after another, each by all processes that ``torchrun`` started."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from segbench.config.plan import Run
from segbench.engine.events import Observer
from segbench.engine.launchers.local import Job, Place, RunJob, memory_room, within
from segbench.errors import RunInterrupted, SuiteError
from segbench.results.record import RunRecord

if TYPE_CHECKING:
    from segbench.engine.distributed import ProcessGroup

_DISMISSED: Run | None = None
"""Broadcast in place of a run when no runs are left."""


@dataclass
class TorchrunLauncher:
    """Executes runs in order and tells the other processes which run is next.

    Attributes:
        group: All processes; this is the first one.
        device: Device of this process.
        busy: Whether a run is running, so that the others do not wait for the next run.
    """

    here: ClassVar[bool] = True
    sharing: ClassVar[float] = 1.0
    group: ProcessGroup
    device: str
    busy: bool = False

    def __call__(self, jobs: Sequence[Job], run_job: RunJob, observer: Observer) -> Iterator[RunRecord]:
        """Execute all jobs; if a run stops all processes with the same error, it is Failed and the next one starts.

        Raises:
            SuiteError: The recipe does not support several processes; no run is started.
            TrainingError: Only some processes were stopped. The others wait for them, so all must end.
        """
        for job in jobs:
            check_recipe(job.run, self.group.size)
        room = memory_room(int(os.environ.get("LOCAL_WORLD_SIZE", self.group.size)))
        for job in (within(job, room) for job in jobs):
            self.busy = True
            record = run_job(job, Place(self.device, group=self.group), observer)
            self.busy = False
            if record is not None:
                yield record


def check_recipe(run: Run, processes: int) -> None:
    """Refuse a recipe that does not support several processes.

    Raises:
        SuiteError: Names the key.
    """
    train = run.recipe.train
    if processes == 1 or train is None:
        return
    if train.sync_batch_norm and train.micro_batch is not None:
        raise SuiteError(
            "does not go with micro_batch where several processes do a run: they may have different numbers of parts, "
            "and would wait for each other's statistics",
            key="train.sync_batch_norm",
        )
    if train.micro_batch == "auto":
        raise SuiteError(
            f"auto finds what fits into one process, not into {processes} that wait for each other; give a number",
            key="train.micro_batch",
        )


@contextmanager
def leading(group: ProcessGroup, device: str) -> Iterator[TorchrunLauncher]:
    """Yield a launcher that leads the other processes, and dismiss them at the end; an error within a run ends all."""
    together = TorchrunLauncher(group, device)
    try:
        yield together
    finally:
        if not together.busy:
            group.broadcast(_DISMISSED)


def join_runs(group: ProcessGroup, *, device: str) -> None:
    """Take part in the runs that the first process announces, until it dismisses this one.

    Raises:
        TrainingError: Only some processes were stopped.
    """
    from segbench.engine.run.execute import join_run

    while (run := group.broadcast(_DISMISSED)) is not None:
        with suppress(RunInterrupted):  # the first process announces what comes next
            join_run(run, device=device, group=group)
