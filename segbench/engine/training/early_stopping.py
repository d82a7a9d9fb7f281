"""Early stopping: ends a training if its validation mIoU stops rising."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from segbench.config.sections.training import EarlyStopping


@dataclass
class Patience:
    """Tracks how long the validation mIoU has not risen.

    Attributes:
        rule: The early-stopping settings.
        best: The best mIoU so far; None before the first validation.
        best_epoch: The epoch of the best mIoU.
        waited: Validations since then.
    """

    rule: EarlyStopping
    best: float | None = None
    best_epoch: int = 0
    waited: int = 0

    def note(self, mean_iou: float, *, epoch: int) -> None:
        """Add a validation score; NaN (a split without labels) does not count as a rise."""
        if self.best is None or mean_iou > self.best + self.rule.min_delta:
            self.best, self.best_epoch, self.waited = mean_iou, epoch, 0
        else:
            self.waited += 1

    @property
    def over(self) -> bool:
        """Whether the training must end."""
        return self.waited >= self.rule.patience

    def reason(self) -> str:
        """Return the reason in words."""
        delta = f" by more than {self.rule.min_delta:g}" if self.rule.min_delta else ""
        times = "1 validation" if self.waited == 1 else f"{self.waited} validations"
        return f"the validation mIoU did not rise{delta} in {times} after epoch {self.best_epoch} ({self.best:.4f})"

    def state(self) -> dict[str, Any]:
        """Return the state for resuming."""
        return {"best": self.best, "best_epoch": self.best_epoch, "waited": self.waited}

    def restore(self, state: dict[str, Any]) -> None:
        """Restore a state."""
        self.best, self.best_epoch, self.waited = state["best"], state["best_epoch"], state["waited"]
