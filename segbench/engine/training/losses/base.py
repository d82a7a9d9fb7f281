"""What every loss is: computed in float32, blind to void pixels."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from torch import Tensor, nn

from segbench.errors import UsageError

IGNORE_INDEX = 255
"""Label of void pixels."""


class Loss(nn.Module, ABC):
    """Base of the losses: called with logits and labels, returns a scalar float32.

    Void pixels (label 255) change neither the value nor any gradient but their own, which is exactly 0. A batch
    without a labelled pixel gives 0 that can still be back-propagated.

    Attributes:
        weights: (C,) float32 weights of the classes; None where all are alike.
        is_pixel_mean: Whether it is a plain mean over labelled pixels: that of a batch is then the mean of its parts',
            weighted by their labelled pixels, however the batch is cut.
    """

    is_pixel_mean: bool = False

    def __init__(self, classes: int, weights: Tensor | None = None) -> None:
        super().__init__()
        self.classes = classes
        self.weights: Tensor | None
        self.register_buffer("weights", weights, persistent=False)

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of a batch.

        Args:
            logits: (N, C, H, W), any floating type; computed in float32 also under autocast.
            labels: (N, H, W), any integer type, classes or 255 for void.

        Returns:
            Scalar float32.

        Raises:
            UsageError: The shapes do not fit each other or the number of classes.
        """
        expected = (labels.shape[0], self.classes, *labels.shape[1:])
        if labels.ndim != 3 or logits.shape != expected:
            raise UsageError(
                f"logits {tuple(logits.shape)} do not fit labels {tuple(labels.shape)} and {self.classes} classes; "
                "expected (N, classes, H, W) and (N, H, W)"
            )
        with torch.autocast(logits.device.type, enabled=False):
            return self.compute(logits.float(), labels.long())

    @abstractmethod
    def compute(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the scalar loss of float32 logits (N, C, H, W) and int64 labels (N, H, W), outside autocast."""


def cross_entropies(
    logits: Tensor, labels: Tensor, weights: Tensor | None = None, label_smoothing: float = 0.0
) -> Tensor:
    """Return each pixel's cross-entropy, (N, H, W), 0 where void.

    Unreduced on purpose: on CUDA, ``nll_loss2d`` adds up in no fixed order when it takes the mean itself.
    """
    return F.cross_entropy(
        logits,
        labels,
        weight=weights,
        ignore_index=IGNORE_INDEX,
        reduction="none",
        label_smoothing=label_smoothing,
    )


def one_hot(labels: Tensor, classes: int) -> Tensor:
    """Return (N, C, H, W) bool; void pixels are of no class."""
    return labels[:, None] == torch.arange(classes, device=labels.device)[:, None, None]


def mean_over_labelled(losses: Tensor, labelled: Tensor) -> Tensor:
    """Average (N, H, W) losses over the labelled pixels; 0 when there is none."""
    return losses.where(labelled, 0).sum() / labelled.sum().clamp(min=1)
