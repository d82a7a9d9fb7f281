"""Does the runs of a suite one after another, each by all processes that ``torchrun`` has started."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from segbench.config.plan import Run
from segbench.engine.events import Observer
from segbench.engine.launchers.local import Do, Job, Place, memory_room, within
from segbench.errors import RunInterrupted, SuiteError
from segbench.results.record import RunRecord

if TYPE_CHECKING:
    from segbench.engine.distributed import ProcessGroup

_DISMISSED: Run | None = None
"""Told in place of a run when there is none left."""


@dataclass
class TorchrunLauncher:
    """Leads the others through the runs, in order.

    Attributes:
        team: All processes; this is the first.
        device: Its device.
        busy: Whether a run is under way: the others take part in it, and wait for no name.
    """

    here: ClassVar[bool] = True
    sharing: ClassVar[float] = 1.0
    team: ProcessGroup
    device: str
    busy: bool = False

    def __call__(self, jobs: Sequence[Job], do: Do, observer: Observer) -> Iterator[RunRecord]:
        """Do all jobs; a run that stops all processes alike ends as failed, and the next one is begun.

        Raises:
            SuiteError: The recipe asks for what several processes cannot do; none of the runs is begun.
            TrainingError: Only some processes were stopped: the others wait for them, and all have to end.
        """
        for job in jobs:
            check_recipe(job.run, self.team.size)
        room = memory_room(int(os.environ.get("LOCAL_WORLD_SIZE", self.team.size)))
        for job in (within(job, room) for job in jobs):
            self.busy = True
            record = do(job, Place(self.device, team=self.team), observer)
            self.busy = False
            if record is not None:
                yield record


def check_recipe(run: Run, processes: int) -> None:
    """Refuse a recipe that needs one process.

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
def leading(team: ProcessGroup, device: str) -> Iterator[TorchrunLauncher]:
    """Give a launcher that leads the others, and dismiss them in the end; an error within a run ends them all."""
    together = TorchrunLauncher(team, device)
    try:
        yield together
    finally:
        if not together.busy:
            team.broadcast(_DISMISSED)


def join_runs(team: ProcessGroup, *, device: str) -> None:
    """Take part in the runs that the first process names, until it dismisses this one.

    Raises:
        TrainingError: Only some processes were stopped.
    """
    from segbench.engine.run.execute import join_run

    while (run := team.broadcast(_DISMISSED)) is not None:
        with suppress(RunInterrupted):  # the first process says what comes then
            join_run(run, device=device, team=team)
