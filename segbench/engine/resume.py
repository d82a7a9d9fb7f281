"""Saves a training under way, and lets it go on from there to the same end, bit for bit."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch

from segbench.config.sections import Resume
from segbench.results.states import StateFolder

if TYPE_CHECKING:
    from segbench.engine.train import Trainer

FORMAT = 1
"""Raised when what a state holds changes: those of another format are not used."""

Tell = Callable[[str], None]
State = dict[str, Any]


class Saver:
    """Saves a trainer's state when that is due.

    Args:
        files: Where states go.
        settings: When they are due.
        facts: What has to be equal for a state to be used: the run's identity and its data.
    """

    def __init__(self, files: StateFolder, settings: Resume, *, facts: Mapping[str, Any]) -> None:
        self.files, self.settings, self.facts = files, settings, dict(facts)
        self._saved_at, self._saved_step = time.monotonic(), 0

    def after_step(self, trainer: Trainer) -> None:
        """Save, if it is due.

        Raises:
            StoreError: The disk is full or read-only.
        """
        if self._is_due(trainer.step):
            self.save(trainer)

    def save(self, trainer: Trainer) -> None:
        """Save now."""
        with self.files.writing(trainer.step) as file:
            torch.save({"format": FORMAT, "facts": self.facts, **state_of(trainer)}, file)
        self._saved_at, self._saved_step = time.monotonic(), trainer.step

    def restore(self, trainer: Trainer, *, tell: Tell) -> None:
        """Bring a trainer to the newest state that can be used; leave it at the start when there is none.

        Args:
            trainer: A new trainer of the same run.
            tell: Told where it goes on, and which states cannot be used.
        """
        for stored in self.files.files():
            if not stored.intact:
                tell(f"the state of step {stored.step} is damaged ({stored.path}); the one before is looked for")
                continue
            state = _read(stored.path)
            if state is None or (state.get("format"), state.get("facts")) != (FORMAT, self.facts):
                tell(f"the state of step {stored.step} is of another version, recipe or data; it is not used")
                continue
            load_state(trainer, state)
            self._saved_step = trainer.step
            tell(f"goes on from step {trainer.step} of {trainer.total_steps}")
            return

    def _is_due(self, step: int) -> bool:
        minutes, steps = self.settings.every_minutes, self.settings.every_steps
        by_steps = steps is not None and step - self._saved_step >= steps
        return by_steps or (minutes is not None and time.monotonic() - self._saved_at >= 60 * minutes)


def state_of(trainer: Trainer) -> State:
    """Return everything that the rest of a training depends on, and what of it goes into the results."""
    device = trainer.arithmetic.device
    average = trainer.averaged.module.state_dict() if trainer.averaged else None
    return {
        "network": trainer.network.state_dict(),
        "optimizer": trainer.optimizer.state_dict(),
        "scaler": trainer.scaler.state_dict(),
        "average": average,
        "generator": torch.get_rng_state(),
        "device_generator": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
        "fed": trainer.fed.hexdigest(),
        "counts": {
            "step": trainer.step,
            "epoch": trainer.epoch,
            "images": trainer.images,
            "seconds": trainer.seconds,
            "micro_batch": trainer.micro_batch,
        },
        "history": trainer.history.lines,
        "best": trainer.best,
        "meter": trainer.meter.state() if trainer.meter else None,
    }


def load_state(trainer: Trainer, state: State) -> None:
    """Bring a new trainer to a state that ``state_of`` returned."""
    from segbench.data.loader import FedDigest
    from segbench.engine.train import EpochMeter

    device = trainer.arithmetic.device
    trainer.network.load_state_dict(state["network"])
    trainer.optimizer.load_state_dict(state["optimizer"])
    trainer.scaler.load_state_dict(state["scaler"])
    if trainer.averaged and state["average"] is not None:
        trainer.averaged.module.load_state_dict(state["average"])
    torch.set_rng_state(state["generator"])
    if device.type == "cuda" and state["device_generator"] is not None:
        torch.cuda.set_rng_state(state["device_generator"], device)
    trainer.fed = FedDigest(state["fed"])
    counts = state["counts"]
    trainer.step, trainer.epoch = counts["step"], counts["epoch"]
    trainer.images, trainer.seconds = counts["images"], counts["seconds"]
    trainer.micro_batch = counts["micro_batch"]
    trainer.schedule.step(trainer.step)
    trainer.history.restore(state["history"])
    trainer.best = None if state["best"] is None else (state["best"][0], state["best"][1], state["best"][2])
    trainer.meter = EpochMeter.resumed(state["meter"], trainer.loss.names) if state["meter"] else None


def _read(file: Any) -> State | None:
    """Return what a file holds; None for one that was written in another form."""
    try:
        state: State = torch.load(file, map_location="cpu", weights_only=True)
    except Exception:  # its content is what was written, so another version of torch wrote it
        return None
    return state if isinstance(state, dict) else None
