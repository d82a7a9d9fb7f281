"""Losses that are means over labelled pixels: cross-entropy, MSE, focal loss."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from torch import Tensor

from segbench.engine.training.losses.base import IGNORE_INDEX, Loss, cross_entropies, mean_over_labelled, one_hot
from segbench.engine.training.losses.class_weights import class_weights_tensor
from segbench.errors import UsageError


def cross_entropy(
    classes: int,
    *,
    class_weights: Literal["none", "median_frequency"] | list[float] = "none",
    label_smoothing: float = 0.0,
) -> Loss:
    """Cross-entropy, averaged over labelled pixels.

    Args:
        classes: The number of classes.
        class_weights: ``none``, ``median_frequency`` (measured on the training split, as in the SegNet paper), or one
            weight for each class; pixels are then averaged with their class weights.
        label_smoothing: Fraction of each target that is distributed evenly over all classes.

    Raises:
        UsageError: The weights do not fit the classes, or were not measured yet.
    """
    weights = class_weights_tensor("cross_entropy", class_weights, classes=classes)
    if not 0 <= label_smoothing < 1:
        raise UsageError(f"cross_entropy: label_smoothing is {label_smoothing}; expected at least 0 and below 1")
    return _CrossEntropy(classes, weights, label_smoothing)


def binary_cross_entropy(classes: int) -> Loss:
    """Binary cross-entropy (sigmoid) of each class against the others, averaged over labelled pixels and classes.

    Predictions are still the class with the largest logit, so two classes need two outputs, including background.

    Args:
        classes: The number of classes.
    """
    return _BinaryCrossEntropy(classes)


def mse(classes: int) -> Loss:
    """Mean squared error between softmax probabilities and one-hot labels, over labelled pixels and classes."""
    return _MeanSquaredError(classes)


def focal(
    classes: int,
    *,
    gamma: float = 2.0,
    form: Literal["softmax", "sigmoid"] = "softmax",
    class_weights: Literal["none", "median_frequency"] | list[float] = "none",
) -> Loss:
    """Focal loss: cross-entropy with weights (1 - p)^gamma, which are small for well-classified pixels.

    Lin, Goyal, Girshick, He, Dollar, "Focal Loss for Dense Object Detection", ICCV 2017, equations 4 and 5.

    Args:
        classes: The number of classes.
        gamma: The focusing exponent; 0 is plain cross-entropy.
        form: ``softmax`` uses p of the labelled class and averages over labelled pixels. ``sigmoid`` treats each class
            against the others, as in the paper and in segmentation_models_pytorch, and also averages over classes.
        class_weights: The paper's alpha: ``none``, ``median_frequency`` (measured on the training split), or one weight
            for each class that multiplies its loss; the mean is still taken over pixels, as in the paper.

    Raises:
        UsageError: gamma is negative, or the weights do not fit the classes or were not measured yet.
    """
    weights = class_weights_tensor("focal", class_weights, classes=classes)
    if gamma < 0:
        raise UsageError(f"focal: gamma is {gamma}; expected at least 0")
    return _SoftmaxFocal(classes, gamma, weights) if form == "softmax" else _SigmoidFocal(classes, gamma, weights)


class _CrossEntropy(Loss):
    def __init__(self, classes: int, weights: Tensor | None, label_smoothing: float) -> None:
        super().__init__(classes, weights)
        self.label_smoothing = label_smoothing
        self.is_pixel_mean = weights is None

    def compute(self, logits: Tensor, labels: Tensor) -> Tensor:
        weights = None if self.weights is None else self.weights.to(logits.device)
        losses = cross_entropies(logits, labels, weights, self.label_smoothing)
        labelled = labels != IGNORE_INDEX
        if weights is None:  # already 0 for void pixels
            return losses.sum() / labelled.sum().clamp(min=1)
        total = weights[labels.where(labelled, 0)].where(labelled, 0).sum()
        return losses.sum() / total.where(total > 0, 1)


class _BinaryCrossEntropy(Loss):
    is_pixel_mean = True

    def compute(self, logits: Tensor, labels: Tensor) -> Tensor:
        truth = one_hot(labels, self.classes).float()
        losses = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
        return mean_over_labelled(losses.mean(dim=1), labels != IGNORE_INDEX)


class _MeanSquaredError(Loss):
    is_pixel_mean = True

    def compute(self, logits: Tensor, labels: Tensor) -> Tensor:
        errors = logits.softmax(dim=1) - one_hot(labels, self.classes).float()
        return mean_over_labelled(errors.square().mean(dim=1), labels != IGNORE_INDEX)


class _Focal(Loss):
    is_pixel_mean = True

    def __init__(self, classes: int, gamma: float, weights: Tensor | None) -> None:
        super().__init__(classes, weights)
        self.gamma = gamma


class _SoftmaxFocal(_Focal):
    def compute(self, logits: Tensor, labels: Tensor) -> Tensor:
        losses, labelled = _focused(cross_entropies(logits, labels), self.gamma), labels != IGNORE_INDEX
        if self.weights is not None:
            losses = losses * self.weights.to(logits.device)[labels.where(labelled, 0)]
        return mean_over_labelled(losses, labelled)


class _SigmoidFocal(_Focal):
    def compute(self, logits: Tensor, labels: Tensor) -> Tensor:
        truth = one_hot(labels, self.classes).float()
        losses = _focused(F.binary_cross_entropy_with_logits(logits, truth, reduction="none"), self.gamma)
        if self.weights is not None:
            losses = losses * self.weights.to(logits.device)[:, None, None]
        return mean_over_labelled(losses.mean(dim=1), labels != IGNORE_INDEX)


def _focused(losses: Tensor, gamma: float) -> Tensor:
    """Multiply each cross-entropy -log p by (1 - p)^gamma; the floor keeps gradients finite for gamma below 1."""
    return (-torch.expm1(-losses)).clamp(min=1e-12) ** gamma * losses
