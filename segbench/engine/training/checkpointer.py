"""Checkpoints training for bit-exact resume."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from io import BufferedWriter
from typing import Any, Protocol

import torch

from segbench.config.sections.training import Resume
from segbench.engine.distributed import ProcessGroup
from segbench.engine.stopping import NEVER, Stop
from segbench.errors import RunInterrupted
from segbench.results.data_identity import DataIdentity
from segbench.results.training_states import StateFile, StateFolder

FORMAT = 3
"""Format version of training states, increased if their content changes; other formats are not used."""

STEPS_BETWEEN_CLOCKS = 10
"""Optimizer steps between checks of the clock, if several processes have to agree."""

Tell = Callable[[str], None]
State = dict[str, Any]


class _Output(BufferedWriter):
    """A file that keeps the error of a full disk, which torch hides behind one of its own.

    As it ends its archive after the error, it complains of a wrong position in the file.
    """

    error: OSError | None = None

    def write(self, content: Any) -> int:
        try:
            return super().write(content)
        except OSError as error:
            self.error = self.error or error
            raise


class Resumable(Protocol):
    """A trainer whose training can be saved and resumed."""

    step: int
    total_steps: int
    group: ProcessGroup

    def state_dict(self) -> State:
        """Return everything that the rest of the training depends on; collective call."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a state."""


class TrainingCheckpointer:
    """Saves a trainer's state when it is due, and restores it.

    Args:
        files: The folder of training states.
        settings: When a state is due.
        facts: Facts that must match for a state to be used: the run's identity, its data and its environment. Plain
            values only, which torch can load safely.
        stop: When to stop.
        place: Facts about machine and threads of this part of the run, which the record lists for all parts.

    Attributes:
        seconds_before: Seconds spent by earlier processes up to the restored state.
        places: The ``place`` of all parts of the run, this one last.
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
        """Save the state if it is due.

        Raises:
            StoreError: The disk is full or read-only.
            RunInterrupted: The run must stop; its state is saved.
        """
        if self._agreed(self.stop.due, trainer):
            self.save(trainer)
            raise RunInterrupted(f"stopped after step {trainer.step} of {trainer.total_steps}", kept="which is saved")
        steps, minutes = self.settings.every_steps, self.settings.every_minutes
        by_steps = steps is not None and trainer.step - self._saved_step >= steps
        if by_steps or (minutes is not None and self._minutes_are_over(minutes, trainer)):
            self.save(trainer)

    def save(self, trainer: Resumable) -> None:
        """Save the state now; with several processes, the first one writes."""
        spent = self.seconds_before + time.monotonic() - self._began
        state = {"format": FORMAT, "facts": self.facts, "seconds": spent, "places": self.places, **trainer.state_dict()}
        if trainer.group.leads:
            self._write(trainer.step, state)
        self._saved_at, self._saved_step = time.monotonic(), trainer.step

    def _write(self, step: int, state: State) -> None:
        with self.files.writing(step) as file, _Output(file.open("wb", buffering=0)) as output:
            try:
                torch.save(state, output)
            except RuntimeError as hiding:
                if output.error is None:
                    raise
                raise output.error from hiding

    def restore(self, trainer: Resumable, *, tell: Tell) -> None:
        """Restore the newest usable state; without one, the trainer stays at the start.

        Args:
            trainer: A new trainer of the same run.
            tell: Called with messages: where training resumes, and which states are unusable.
        """
        state = trainer.group.broadcast(self._newest(tell) if trainer.group.leads else None)
        if state is not None:
            trainer.load_state_dict(state)
            self._saved_step, self.seconds_before = trainer.step, state["seconds"]
            self.places = [*state["places"], *self.places]
            tell(f"resumes from step {trainer.step} of {trainer.total_steps}")

    def _newest(self, tell: Tell) -> State | None:
        """Return the newest usable state; others are kept until a new one replaces them."""
        for stored in self.files.files():
            try:
                return self._usable(stored)
            except _UnusableError as reason:
                tell(f"the state of step {stored.step} {reason}; trying the one before")
        return None

    def _usable(self, stored: StateFile) -> State:
        """Load a stored state and check that it matches this run.

        Raises:
            _UnusableError: It does not match; says why.
        """
        if not stored.intact:
            raise _UnusableError("is damaged")
        try:
            state: State = torch.load(stored.path, map_location="cpu", weights_only=True)
            found = {"format": state["format"], **state["facts"]}
        except (OSError, MemoryError):
            raise
        except Exception as error:  # torch's errors differ from version to version
            raise _UnusableError(f"cannot be read ({type(error).__name__}: {str(error)[:100]})") from None
        wanted = {"format": FORMAT, **self.facts}
        if differing := _differing(found, wanted):
            raise _UnusableError(f"does not fit, because of another {' and '.join(differing)}")
        return state

    def _minutes_are_over(self, minutes: float, trainer: Resumable) -> bool:
        """Return whether the time between states has passed."""
        return self._agreed(time.monotonic() - self._saved_at >= 60 * minutes, trainer)

    def _agreed(self, due: bool, trainer: Resumable) -> bool:
        """Return whether a state is due; with several processes, the first one decides every few steps."""
        if trainer.group.size == 1:
            return due
        return trainer.step % STEPS_BETWEEN_CLOCKS == 0 and trainer.group.broadcast(due)


def _differing(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Return the names of the facts that do not match; re-encoded data with equal pixels does match."""
    names = [name for name in wanted if name != "pixel_digests" and found.get(name) != wanted[name]]
    same_data = _data_identity(found).same_data(_data_identity(wanted))
    return [name for name in names if not (name == "data" and same_data)]


def _data_identity(facts: Mapping[str, Any]) -> DataIdentity:
    return DataIdentity(facts.get("data", {}), facts.get("pixel_digests", {}))


class _UnusableError(Exception):
    """A stored state is not usable; says why."""
