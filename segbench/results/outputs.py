"""What a network from elsewhere returned when it was tried, and what of that a reader has to know."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel, ConfigDict

Activation = Literal["softmax", "sigmoid", "log_softmax"]
"""What may have been applied to scores."""

_IN_WORDS = {
    "softmax": "probabilities, as after a softmax (between 0 and 1, with a sum of 1 over the classes)",
    "sigmoid": "numbers between 0 and 1, as after a sigmoid",
    "log_softmax": "logarithms of probabilities, as after a log_softmax",
}


class OutputFacts(BaseModel):
    """What a network from elsewhere returned for a random image before it was trained."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    images: tuple[int, int, int, int]
    """Shape of the images, as (N, channels, H, W)."""
    evaluation: str
    """What was returned in evaluation mode, in words with shapes."""
    training: str
    """What was returned in training mode."""
    logits: str = ""
    """Key or index of what is taken for the logits in training; empty where a tensor is returned itself."""
    unnamed: int = 1
    """How many members of a list or tuple could be the logits, of which the first is taken for want of ``output``."""
    stride: float = 1.0
    """Pixels of the image to a pixel of the logits, which are resized where that is not 1."""
    auxiliary: tuple[str, ...] = ()
    """Keys or indices of the auxiliary outputs in training."""
    auxiliary_weights: dict[str, float] | None = None
    """The weights of those that are trained on; None where ``train.auxiliary`` asks for none."""
    activations: dict[Literal["evaluation", "training"], Activation] = {}
    """What seems to have been applied to the scores already, by mode; empty for logits."""
    finite: bool = True
    """Whether all scores were finite."""

    @property
    def returns_probabilities(self) -> bool:
        """Whether scores seem to lie between 0 and 1 already, in one mode at least."""
        return any(activation != "log_softmax" for activation in self.activations.values())

    def notes(self, *, trained: bool) -> list[str]:
        """Return what is unusual, each in a sentence without its subject, the network.

        Args:
            trained: Whether the network is trained here, and not only evaluated.
        """
        found = list(self._of_activations(trained=trained))
        if not self.finite:
            found.append("returns scores that are not finite for a random image, before training")
        if self.unnamed > 1:
            found.append(f"returns {self.training}: the first is taken for its scores; 'output' names another")
        if trained and self.auxiliary and self.auxiliary_weights is None:
            named = ", ".join(self.auxiliary)
            found.append(
                f"has auxiliary outputs ({named}), which are not trained on: train.auxiliary weighs their losses"
            )
        return found

    @property
    def in_words(self) -> str:
        """What is returned, what of it is taken for the scores, and what becomes of it."""
        count, channels, height, width = self.images
        parts = [f"{self.training} for images ({count}, {channels}, {height}, {width})"]
        if self.evaluation != self.training:
            parts.append(f"in evaluation, {self.evaluation}")
        if self.logits:
            parts.append(f"scores: {self.logits}")
        if self.stride != 1:
            parts.append(f"scores are resized by {self.stride:g}, bilinearly (align_corners=False)")
        if self.auxiliary:
            parts.append(f"auxiliary: {', '.join(self.auxiliary)}")
        return "; ".join(parts)

    @property
    def trained_auxiliary(self) -> str:
        """The auxiliary outputs that are trained on, such as ``aux 0.4``; empty where there are none."""
        return ", ".join(f"{path} {weight:g}" for path, weight in (self.auxiliary_weights or {}).items())

    def _of_activations(self, *, trained: bool) -> Iterator[str]:
        modes = [mode for mode in self.activations if trained or mode == "evaluation"]
        for activation in dict.fromkeys(self.activations[mode] for mode in modes):
            here = [mode for mode in modes if self.activations[mode] == activation]
            where = f"in {here[0]} " if trained and len(here) == 1 else ""
            yield f"{where}returns {_IN_WORDS[activation]}: {_consequence(activation, here)}"


def _consequence(activation: Activation, modes: list[Literal["evaluation", "training"]]) -> str:
    if activation == "log_softmax":
        return "their softmax is the same as that of logits, so that no score and no cross-entropy depends on it"
    wrong = {
        "training": "the loss takes them for logits, and learns badly from them",
        "evaluation": "test loss and calibration are not those of its probabilities",
    }
    parts = "; ".join(text for mode, text in wrong.items() if mode in modes)
    return f"{parts}. Leave the {activation} out of the network (in smp: activation: null)"
