"""Does the runs of a suite one after another, each by all processes that ``torchrun`` has started."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from segbench.config.plan import Run
from segbench.engine.events import Observer
from segbench.engine.launchers import Do, Job, Place
from segbench.errors import TrainingError
from segbench.results.record import RunRecord

if TYPE_CHECKING:
    from segbench.engine.team import Team


def started_by_torchrun() -> bool:
    """Return whether this is one of several processes that are to work together."""
    return "RANK" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


def device_of_process(device: str) -> str:
    """Return the device of this process, where all of them were given the same name: a GPU each."""
    local = os.environ.get("LOCAL_RANK", "0")
    return f"cuda:{local}" if device == "cuda" else device


@dataclass(frozen=True)
class Together:
    """Leads the others through the runs, in order.

    Attributes:
        team: All processes; this is the first.
        device: Its device.
    """

    team: Team
    device: str

    def __call__(self, jobs: Sequence[Job], do: Do, observer: Observer) -> Iterator[RunRecord]:
        """Do all jobs.

        Raises:
            TrainingError: This process met an error that the others may not have met: they are out of step.
        """
        for job in jobs:
            self.team.told(job.run)
            record = do(job, Place(self.device, team=self.team), observer)
            yield record
            if record.outcome.traceback is not None:
                raise TrainingError(
                    f"{record.id} failed in the first of {self.team.size} processes, and the others cannot go on "
                    f"without it: {record.outcome.reason}; the same command goes on with the rest"
                )


@contextmanager
def leading(team: Team, device: str) -> Iterator[Together]:
    """Give a launcher that leads the others, and dismiss them in the end; an error ends them with this process."""
    yield Together(team, device)
    nothing: Run | None = None
    team.told(nothing)


def follow(team: Team, *, device: str) -> None:
    """Take part in the runs that the first process names, until it names none.

    Raises:
        TrainingError: This process met an error that the others may not have met.
    """
    from segbench.engine.run import take_part

    nothing: Run | None = None
    while (run := team.told(nothing)) is not None:
        outcome = take_part(run, device=device, team=team)
        if outcome.traceback is not None:
            raise TrainingError(f"{run.id} failed in process {team.rank} of {team.size}: {outcome.reason}")
