"""Checkpoints training for bit-exact resume."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch

from segbench.config.sections.training import Resume
from segbench.engine.distributed import ProcessGroup
from segbench.engine.stopping import NEVER, Stop
from segbench.errors import RunInterrupted
from segbench.results.data_identity import DataIdentity
from segbench.results.training_states import StateFile, StateFolder

FORMAT = 3
"""Raised when what a state holds changes: those of another format are not used."""

STEPS_BETWEEN_CLOCKS = 10
"""Optimizer steps between two looks at the clock, where several processes have to agree."""

Tell = Callable[[str], None]
State = dict[str, Any]


class Resumable(Protocol):
    """What a checkpointer needs of a trainer: ``state_dict`` returns all that the rest of its training depends on."""

    step: int
    total_steps: int
    team: ProcessGroup

    def state_dict(self) -> State:
        """Return the state; all processes have to ask."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""


class TrainingCheckpointer:
    """Saves a trainer's state when that is due.

    Args:
        files: Where states go.
        settings: When they are due.
        facts: What has to be equal for a state to be used: the run's identity, its data, what computes it. Plain
            values: torch reads no others back.
        stop: When to stop.
        place: Where the run is done, and with how many others: what a record has to tell of all its pieces.

    Attributes:
        seconds_before: What earlier processes spent on the run up to the state that it went on from.
        places: Where its pieces were done, this one last.
    """

    def __init__(
        self,
        files: StateFolder,
        settings: Resume,
        *,
        facts: Mapping[str, Any],
        stop: Stop = NEVER,
        place: Mapping[str, Any] | None = None,
    ) -> None:
        self.files, self.settings, self.facts, self.stop = files, settings, dict(facts), stop
        self.seconds_before = 0.0
        self.places = [dict(place or {})]
        self._began = self._saved_at = time.monotonic()
        self._saved_step = 0

    def after_step(self, trainer: Resumable) -> None:
        """Save, if it is due.

        Raises:
            StoreError: The disk is full or read-only.
            RunInterrupted: It was time to stop; the state is saved.
        """
        if self._agreed(self.stop.due, trainer):
            self.save(trainer)
            raise RunInterrupted(f"stopped after step {trainer.step} of {trainer.total_steps}", kept="which is saved")
        steps, minutes = self.settings.every_steps, self.settings.every_minutes
        by_steps = steps is not None and trainer.step - self._saved_step >= steps
        if by_steps or (minutes is not None and self._minutes_are_over(minutes, trainer)):
            self.save(trainer)

    def save(self, trainer: Resumable) -> None:
        """Save now; of several processes, the first writes."""
        spent = self.seconds_before + time.monotonic() - self._began
        state = {"format": FORMAT, "facts": self.facts, "seconds": spent, "places": self.places, **trainer.state_dict()}
        if trainer.team.leads:
            self._write(trainer.step, state)
        self._saved_at, self._saved_step = time.monotonic(), trainer.step

    def _write(self, step: int, state: State) -> None:
        with self.files.writing(step) as file, file.open("wb") as stream:
            torch.save(state, stream)  # to a path, torch would tell of a full disk as of any error

    def restore(self, trainer: Resumable, *, tell: Tell) -> None:
        """Bring a trainer to the newest state that can be used; leave it at the start when there is none.

        Args:
            trainer: A new trainer of the same run.
            tell: Told where it goes on, and which states cannot be used.
        """
        state = trainer.team.broadcast(self._newest(tell) if trainer.team.leads else None)
        if state is not None:
            trainer.load_state_dict(state)
            self._saved_step, self.seconds_before = trainer.step, state["seconds"]
            self.places = [*state["places"], *self.places]
            tell(f"goes on from step {trainer.step} of {trainer.total_steps}")

    def _newest(self, tell: Tell) -> State | None:
        """Return the newest state that can be used; the others stay until a new one takes their place."""
        for stored in self.files.files():
            try:
                return self._usable(stored)
            except _UnusableError as reason:
                tell(f"the state of step {stored.step} {reason}; the one before is looked for")
        return None

    def _usable(self, stored: StateFile) -> State:
        """Return a stored state that fits this run.

        Raises:
            _UnusableError: It does not; says why.
        """
        if not stored.intact:
            raise _UnusableError("is damaged")
        try:
            state: State = torch.load(stored.path, map_location="cpu", weights_only=True)
            found = {"format": state["format"], **state["facts"]}
        except (OSError, MemoryError):
            raise
        except Exception as error:  # what torch raises differs from version to version
            raise _UnusableError(f"cannot be read ({type(error).__name__}: {str(error)[:100]})") from None
        wanted = {"format": FORMAT, **self.facts}
        if differing := _differing(found, wanted):
            raise _UnusableError(f"does not fit, because of another {' and '.join(differing)}")
        return state

    def _minutes_are_over(self, minutes: float, trainer: Resumable) -> bool:
        """Tell whether so much time has passed since the last state."""
        return self._agreed(time.monotonic() - self._saved_at >= 60 * minutes, trainer)

    def _agreed(self, due: bool, trainer: Resumable) -> bool:
        """Tell whether it is time; several processes do every few steps what the first says."""
        if trainer.team.size == 1:
            return due
        return trainer.step % STEPS_BETWEEN_CLOCKS == 0 and trainer.team.broadcast(due)


def _differing(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Return the names of the facts that are not what they have to be; data may have been encoded anew."""
    names = [name for name in wanted if name != "pixel_digests" and found.get(name) != wanted[name]]
    same_data = _data_identity(found).same_data(_data_identity(wanted))
    return [name for name in names if not (name == "data" and same_data)]


def _data_identity(facts: Mapping[str, Any]) -> DataIdentity:
    return DataIdentity(facts.get("data", {}), facts.get("pixel_digests", {}))


class _UnusableError(Exception):
    """Why a stored state is not used."""
