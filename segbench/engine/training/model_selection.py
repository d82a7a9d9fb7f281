"""Model selection: which epoch's weights are reported, and whether training stops early."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, NamedTuple

from torch import Tensor, nn

from segbench.config.suite import Train
from segbench.engine.training.early_stopping import Patience

SCORE = "validation_mean_iou"
"""The score that weights are selected by."""


class Best(NamedTuple):
    """The weights with the best validation score so far.

    Attributes:
        score: Their mean IoU on the validation split.
        epoch: The epoch after which they were validated.
        weights: The state of the network.
    """

    score: float
    epoch: int
    weights: dict[str, Tensor]


class ModelSelection:
    """Remembers the best weights where the recipe selects them, and how long the validation mIoU has not risen."""

    def __init__(self, recipe: Train) -> None:
        self._selects_best = recipe.select == "best"
        self.best: Best | None = None
        self.patience = Patience(recipe.early_stopping) if recipe.early_stopping else None

    def consider(self, network: nn.Module, score: float, *, epoch: int) -> None:
        """Take note of a validation.

        Args:
            network: The network that was validated.
            score: Its mean IoU on the validation split.
            epoch: The epoch that it comes after, from 1.
        """
        if self._selects_best and (self.best is None or score > self.best.score):
            self.best = Best(score, epoch, deepcopy(network.state_dict()))
        if self.patience is not None:
            self.patience.note(score, epoch=epoch)

    @property
    def out_of_patience(self) -> bool:
        """Whether the training is to stop early."""
        return self.patience is not None and self.patience.over

    def state_dict(self) -> dict[str, Any]:
        """Return what has to be known to go on."""
        return {
            "best": tuple(self.best) if self.best else None,
            "patience": self.patience.state() if self.patience else None,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self.best = Best(*state["best"]) if state["best"] else None
        if self.patience and state.get("patience"):
            self.patience.restore(state["patience"])
