"""Model selection: chooses the epoch whose weights are reported, and applies early stopping."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, NamedTuple

from torch import Tensor, nn

from segbench.config.suite import Train
from segbench.engine.training.early_stopping import Patience

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
