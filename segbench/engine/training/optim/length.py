"""How long a training is, for its schedule."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """How long the training is, and how it is warmed up.

    Attributes:
        total_steps: Optimizer steps of the whole training.
        steps_per_epoch: Optimizer steps of one epoch.
        warmup_steps: Steps over which the learning rate rises in a straight line; the step after them has the full one.
        warmup_start: The learning rate of the first step, if there are warm-up steps.
    """

    total_steps: int
    steps_per_epoch: int
    warmup_steps: int = 0
    warmup_start: float = 0.0

    @property
    def remaining_steps(self) -> int:
        """Optimizer steps after the warm-up."""
        return self.total_steps - self.warmup_steps
