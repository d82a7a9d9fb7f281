"""Selects the reported weights by validation scores, and stops a training early by them."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor, nn

from segbench.config.sections.training import EarlyStopping
from segbench.config.suite import Train


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


SCORE = "validation_mean_iou"
"""Name of the validation score used for selection."""


class Best(NamedTuple):
    """The weights with the best validation score so far.

    Attributes:
        score: Their mean IoU on the validation split.
        epoch: The epoch of the weights.
        weights: The network's ``state_dict``.
    """

    score: float
    epoch: int
    weights: dict[str, Tensor]


class ModelSelection:
    """Keeps the best weights if the recipe selects them, and tracks early stopping."""

    def __init__(self, recipe: Train) -> None:
        self._selects_best = recipe.select == "best"
        self.best: Best | None = None
        self.patience = Patience(recipe.early_stopping) if recipe.early_stopping else None

    def consider(self, network: nn.Module, score: float, *, epoch: int) -> None:
        """Add a validation score.

        Args:
            network: The network that was validated.
            score: Its mean IoU on the validation split.
            epoch: The epoch, from 1.
        """
        if self._selects_best and (self.best is None or score > self.best.score):
            self.best = Best(score, epoch, deepcopy(network.state_dict()))
        if self.patience is not None:
            self.patience.note(score, epoch=epoch)

    @property
    def out_of_patience(self) -> bool:
        """Whether the training must stop early."""
        return self.patience is not None and self.patience.over

    def state_dict(self) -> dict[str, Any]:
        """Return the state for resuming."""
        return {
            "best": tuple(self.best) if self.best else None,
            "patience": self.patience.state() if self.patience else None,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a state."""
        self.best = Best(*state["best"]) if state["best"] else None
        if self.patience and state.get("patience"):
            self.patience.restore(state["patience"])
