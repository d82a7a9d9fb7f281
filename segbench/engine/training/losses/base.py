"""Base class of losses: computes in float32 and ignores void pixels."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from torch import Tensor, nn

from segbench.errors import UsageError

IGNORE_INDEX = 255
"""Label of void pixels."""


class Loss(nn.Module, ABC):
    """Base class of losses: maps logits and labels to a float32 scalar.

    Void pixels (label 255) do not affect the value; their own gradients are exactly 0. A batch without labelled pixels
    gives 0, with a gradient.

    Attributes:
        weights: (C,) float32 weights of the classes; None where all are alike.
        is_pixel_mean: Whether it is a plain mean over labelled pixels. Then the loss of a batch is the mean of its
            micro-batches' losses, weighted by their labelled pixels.
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
            UsageError: The shapes do not match each other or the number of classes.
        """
        expected = (labels.shape[0], self.classes, *labels.shape[1:])
        if labels.ndim != 3 or logits.shape != expected:
            raise UsageError(
                f"logits {tuple(logits.shape)} do not match labels {tuple(labels.shape)} and {self.classes} classes; "
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
    """Return each pixel's cross-entropy, (N, H, W); 0 for void pixels.

    Not reduced, because on CUDA the mean of ``nll_loss2d`` is not deterministic.
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
    """Return (N, C, H, W) bool; void pixels are False for all classes."""
    return labels[:, None] == torch.arange(classes, device=labels.device)[:, None, None]


def mean_over_labelled(losses: Tensor, labelled: Tensor) -> Tensor:
    """Average (N, H, W) losses over the labelled pixels; 0 if there are none."""
    return losses.where(labelled, 0).sum() / labelled.sum().clamp(min=1)
