"""The result of a training."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class Trained:
    """A trained network and facts about its training.

    Attributes:
        network: The network with the reported weights, on its device.
        selected_epoch: The epoch of these weights, from 1.
        digest: Hash of all inputs in order.
        seconds: Duration of training epochs, without validation.
        images: Number of images trained on, with repetitions.
        micro_batch: Images per forward pass, if batches were split.
        epochs: Number of epochs trained; the last one may be partial.
        planned_epochs: Number of epochs of the whole recipe.
        stopped_early: Why the training stopped early; None if it did not.
        epoch_digests: Hash of all inputs up to the end of each epoch.
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
        """Throughput: images divided by seconds."""
        return self.images / self.seconds
