"""Records what an external network returned when it was tried, and derives notes for readers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel, ConfigDict

Activation = Literal["softmax", "sigmoid", "log_softmax"]
"""Activation that a network seems to have applied to its scores."""

_IN_WORDS = {
    "softmax": "probabilities, as after a softmax (between 0 and 1, with a sum of 1 over the classes)",
    "sigmoid": "numbers between 0 and 1, as after a sigmoid",
    "log_softmax": "logarithms of probabilities, as after a log_softmax",
}


class OutputFacts(BaseModel):
    """What an external network returned for a random image before training."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    images: tuple[int, int, int, int]
    """Shape of the images, as (N, channels, H, W)."""
    evaluation: str
    """Output in evaluation mode, described in words with shapes."""
    training: str
    """Output in training mode."""
    logits: str = ""
    """Key or index of the logits in training; empty if the network returns a single tensor."""
    unnamed: int = 1
    """Number of members of a list or tuple that could be the logits; without ``output``, the first is used."""
    stride: float = 1.0
    """Image pixels per logit pixel; the logits are resized if this is not 1."""
    odd_size: tuple[int, int] | None = None
    """Height and width of the scores where they are those of the images by no whole stride; None otherwise."""
    auxiliary: tuple[str, ...] = ()
    """Keys or indices of the auxiliary outputs in training."""
    auxiliary_weights: dict[str, float] | None = None
    """Loss weights of the auxiliary outputs; None if ``train.auxiliary`` is not set."""
    activations: dict[Literal["evaluation", "training"], Activation] = {}
    """Activation that seems to be applied to the scores already, by mode; empty for logits."""
    finite: bool = True
    """Whether all scores were finite."""

    @property
    def returns_probabilities(self) -> bool:
        """Whether scores seem to lie between 0 and 1 already, in at least one mode."""
        return any(activation != "log_softmax" for activation in self.activations.values())

    def notes(self, *, trained: bool) -> list[str]:
        """Return notes on unusual outputs; each is a sentence without its subject, the network.

        Args:
            trained: Whether the network is trained here, or only evaluated.
        """
        found = list(self._of_activations(trained=trained))
        if not self.finite:
            found.append("returns scores that are not finite for a random image, before training")
        if self.odd_size is not None:
            found.append(self._of_odd_size(*self.odd_size))
        if self.unnamed > 1:
            found.append(f"returns {self.training}: the first is taken for its scores; 'output' names another")
        if trained and self.auxiliary and self.auxiliary_weights is None:
            named = ", ".join(self.auxiliary)
            found.append(
                f"has auxiliary outputs ({named}), which are not trained; train.auxiliary sets weights for their losses"
            )
        return found

    @property
    def in_words(self) -> str:
        """Description of the output, of its part used as scores, and of how scores are resized."""
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
        """The trained auxiliary outputs with weights, such as ``aux 0.4``; empty if there are none."""
        return ", ".join(f"{path} {weight:g}" for path, weight in (self.auxiliary_weights or {}).items())

    def _of_odd_size(self, height: int, width: int) -> str:
        images_height, images_width = self.images[2:]
        edges = "crop them" if height > images_height or width > images_width else "pad the images as much before"
        return (
            f"returns scores of {height}x{width} for images of {images_height}x{images_width}, by no whole stride: "
            "resized to the images, classes may be shifted where rows or columns were added or left out at the edges; "
            f"{edges} in the network"
        )

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
