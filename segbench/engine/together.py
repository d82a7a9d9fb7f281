"""Does the runs of a suite one after another, each by all processes that ``torchrun`` has started."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from segbench.config.plan import Run
from segbench.engine.events import Observer
from segbench.engine.launchers import Do, Job, Place, memory_room, within
from segbench.results.record import RunRecord

if TYPE_CHECKING:
    from segbench.engine.team import Team

_DISMISSED: Run | None = None
"""Told in place of a run when there is none left."""


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
        """Do all jobs; a run that stops all processes alike ends as failed, and the next one is begun.

        Raises:
            TrainingError: Only some processes were stopped: the others wait for them, and all have to end.
        """
        room = memory_room(int(os.environ.get("LOCAL_WORLD_SIZE", self.team.size)))
        for job in (within(job, room) for job in jobs):
            self.team.told(job.run)
            yield do(job, Place(self.device, team=self.team), observer)


@contextmanager
def leading(team: Team, device: str) -> Iterator[Together]:
    """Give a launcher that leads the others, and dismiss them in the end; an error ends them with this process."""
    yield Together(team, device)
    team.told(_DISMISSED)


def follow(team: Team, *, device: str) -> None:
    """Take part in the runs that the first process names, until it dismisses this one.

    Raises:
        TrainingError: Only some processes were stopped.
    """
    from segbench.engine.run import take_part

    while (run := team.told(_DISMISSED)) is not None:
        take_part(run, device=device, team=team)
