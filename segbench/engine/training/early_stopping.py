"""Early stopping: when a training ends because its validation mIoU does not rise any more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from segbench.config.sections.training import EarlyStopping


@dataclass
class Patience:
    """How long the validation mIoU has not risen.

    Attributes:
        rule: When it is too long.
        best: The best mIoU so far; None before the first validation.
        best_epoch: The epoch after which it was.
        waited: Validations since then.
    """

    rule: EarlyStopping
    best: float | None = None
    best_epoch: int = 0
    waited: int = 0

    def note(self, mean_iou: float, *, epoch: int) -> None:
        """Take note of a validation; NaN, as of a split without labels, is no rise."""
        if self.best is None or mean_iou > self.best + self.rule.min_delta:
            self.best, self.best_epoch, self.waited = mean_iou, epoch, 0
        else:
            self.waited += 1

    @property
    def over(self) -> bool:
        """Whether the training is to end."""
        return self.waited >= self.rule.patience

    def reason(self) -> str:
        """Return why it ended, in words."""
        delta = f" by more than {self.rule.min_delta:g}" if self.rule.min_delta else ""
        times = "1 validation" if self.waited == 1 else f"{self.waited} validations"
        return f"the validation mIoU did not rise{delta} in {times} after epoch {self.best_epoch} ({self.best:.4f})"

    def state(self) -> dict[str, Any]:
        """Return what has to be known to go on."""
        return {"best": self.best, "best_epoch": self.best_epoch, "waited": self.waited}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.best, self.best_epoch, self.waited = state["best"], state["best_epoch"], state["waited"]
