"""Length of a training and its warm-up, for schedules."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """Length of a training in steps, and its warm-up.

    Attributes:
        total_steps: Optimizer steps of the whole training.
        steps_per_epoch: Optimizer steps of one epoch.
        warmup_steps: Steps of linear warm-up; the next step has the full learning rate.
        warmup_start: The learning rate of the first warm-up step.
    """

    total_steps: int
    steps_per_epoch: int
    warmup_steps: int = 0
    warmup_start: float = 0.0

    @property
    def remaining_steps(self) -> int:
        """Optimizer steps after the warm-up."""
        return self.total_steps - self.warmup_steps
