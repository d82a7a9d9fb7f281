"""What training leaves behind."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class Trained:
    """A trained network, and what is to be told of its training.

    Attributes:
        network: The network with the weights that are reported, on its device.
        selected_epoch: The epoch that they come from, from 1.
        digest: Hash of all that was fed, in order.
        seconds: Time in training epochs, validation not counted.
        images: Images trained on, counted as often as they were fed.
        micro_batch: Images in one forward pass, where batches were cut into parts.
        epochs: Epochs that it was trained for, the last one perhaps in part.
        planned_epochs: Those of the whole recipe, likewise.
        stopped_early: Why it was stopped before the end of the recipe; None where it was not.
        epoch_digests: Hash of all that was fed up to the end of each epoch.
    """

    network: nn.Module
    selected_epoch: int
    digest: str
    seconds: float
    images: int
    micro_batch: int | None = None
    epochs: int = 0
    planned_epochs: int = 0
    stopped_early: str | None = None
    epoch_digests: tuple[str, ...] = ()

    @property
    def images_per_second(self) -> float:
        """Images over seconds."""
        return self.images / self.seconds
