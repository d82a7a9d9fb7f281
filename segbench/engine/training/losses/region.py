"""Region losses: Dice, Tversky, Lovasz-softmax."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from segbench.engine.training.losses.base import IGNORE_INDEX, Loss, one_hot
from segbench.engine.training.losses.class_weights import class_weights_tensor
from segbench.errors import UsageError


def dice(
    classes: int,
    *,
    smooth: float = 0.0,
    class_weights: Literal["none", "median_frequency"] | list[float] = "none",
) -> Loss:
    """Soft Dice of the whole batch: 1 - 2 |P G| / (|P| + |G|), averaged over classes.

    A class without labelled pixels in the batch adds 0 but counts in the mean, so a batch with few classes has a small
    loss. The multiclass mode of segmentation_models_pytorch does the same. Milletari, Navab, Ahmadi, "V-Net", 3DV 2016,
    section 3, without the squares.

    Args:
        classes: The number of classes.
        smooth: Pixels added to the intersection and to the mean of both areas; stabilises rare classes.
        class_weights: ``none``, ``median_frequency`` (measured on the training split), or one weight for each class in
            the mean over classes.

    Raises:
        UsageError: smooth is negative, or the weights do not fit the classes or were not measured yet.
    """
    weights = class_weights_tensor("dice", class_weights, classes=classes)
    if smooth < 0:
        raise UsageError(f"dice: smooth is {smooth}; expected at least 0")
    return _Dice(classes, smooth, weights)


def tversky(classes: int, *, alpha: float = 0.3, beta: float = 0.7, smooth: float = 0.0) -> Loss:
    """Soft Tversky of the whole batch: 1 - TP / (TP + alpha FP + beta FN), averaged over classes as Dice is.

    With alpha and beta of 0.5, it is Dice. Salehi, Erdogmus, Gholipour, "Tversky loss function for image segmentation
    using 3D fully convolutional deep networks", MLMI 2017, whose best setting for rare classes is the default.

    Args:
        classes: The number of classes.
        alpha: Weight of false positives.
        beta: Weight of false negatives.
        smooth: Pixels added to numerator and denominator.

    Raises:
        UsageError: An option is negative, or alpha and beta are both 0.
    """
    if min(alpha, beta, smooth) < 0 or alpha + beta == 0:
        raise UsageError(
            f"tversky: alpha {alpha}, beta {beta}, smooth {smooth}: expected numbers of at least 0, not both of alpha "
            "and beta 0"
        )
    return _Tversky(classes, alpha, beta, smooth)


def lovasz(classes: int, *, per_image: bool = False) -> Loss:
    """Lovasz-softmax: a convex surrogate of 1 - mean IoU over the classes that are labelled.

    Berman, Rannen Triki, Blaschko, "The Lovasz-Softmax loss", CVPR 2018, section 3.

    Args:
        classes: The number of classes.
        per_image: Whether to average the losses of images (those with labelled pixels) instead of treating the batch as
            one image.
    """
    return _LovaszSoftmax(classes, per_image)


class _Areas(NamedTuple):
    """Soft areas of every class in a batch, (C,) each.

    Attributes:
        shared: Area of the intersection of prediction and label.
        predicted: Area of the prediction.
        labelled: Area of the label in pixels.
    """

    shared: Tensor
    predicted: Tensor
    labelled: Tensor


def _areas(logits: Tensor, labels: Tensor) -> _Areas:
    labelled, truth = (labels != IGNORE_INDEX)[:, None], one_hot(labels, logits.shape[1])
    probabilities = logits.softmax(dim=1).where(labelled, 0)
    shared = probabilities.where(truth, 0).sum(dim=(0, 2, 3))
    return _Areas(shared, probabilities.sum(dim=(0, 2, 3)), truth.sum(dim=(0, 2, 3)))


class _Dice(Loss):
    def __init__(self, classes: int, smooth: float, weights: Tensor | None) -> None:
        super().__init__(classes, weights)
        self.smooth = smooth

    def compute(self, logits: Tensor, labels: Tensor) -> Tensor:
        areas = _areas(logits, labels)
        mean_area = (areas.predicted + areas.labelled) / 2
        losses = 1 - (areas.shared + self.smooth) / (mean_area + self.smooth).clamp(min=1e-7)
        losses = losses.where(areas.labelled > 0, 0)
        if self.weights is None:
            return losses.mean()
        weights = self.weights.to(logits.device)
        return (losses * weights).sum() / weights.sum()


class _Tversky(Loss):
    def __init__(self, classes: int, alpha: float, beta: float, smooth: float) -> None:
        super().__init__(classes)
        self.alpha, self.beta, self.smooth = alpha, beta, smooth

    def compute(self, logits: Tensor, labels: Tensor) -> Tensor:
        shared, predicted, labelled = _areas(logits, labels)
        errors = self.alpha * (predicted - shared) + self.beta * (labelled - shared)
        losses = 1 - (shared + self.smooth) / (shared + errors + self.smooth).clamp(min=1e-7)
        return losses.where(labelled > 0, 0).mean()


class _LovaszSoftmax(Loss):
    def __init__(self, classes: int, per_image: bool) -> None:
        super().__init__(classes)
        self.per_image = per_image

    def compute(self, logits: Tensor, labels: Tensor) -> Tensor:
        groups = [slice(i, i + 1) for i in range(len(labels))] if self.per_image else [slice(None)]
        labelled = labels != IGNORE_INDEX
        losses = [_lovasz_softmax(logits[part], labels[part]) for part in groups if labelled[part].any()]
        return torch.stack(losses).mean() if losses else logits.sum() * 0


def _lovasz_softmax(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the Lovasz-softmax loss of (N, C, H, W) logits and (N, H, W) labels with at least one labelled pixel."""
    labelled = labels != IGNORE_INDEX
    probabilities, labels = logits.softmax(dim=1).movedim(1, -1)[labelled], labels[labelled]
    losses = []
    for index in torch.unique(labels).tolist():
        truth = labels == index
        errors = (truth.float() - probabilities[:, index]).abs()
        errors, order = errors.sort(descending=True)
        losses.append(errors @ _jaccard_steps(truth[order]))
    return torch.stack(losses).mean()


def _jaccard_steps(truth: Tensor) -> Tensor:
    """Return the increase of a class's Jaccard loss with each further wrong pixel, in the given order.

    Let I be the correct pixels of the class and U the union after the pixel. A pixel of the class adds 1 / U, another
    pixel adds I / (U (U - 1)). This equals algorithm 1 of the paper but avoids its difference of cumulative sums, which
    is inaccurate in float32 on large images. Counting in integers is exact and, on CUDA, deterministic.

    Args:
        truth: (P,) bool, whether each pixel is labelled with the class; at least one is.
    """
    found = truth.long().cumsum(dim=0)
    pixels = torch.arange(1, len(truth) + 1, device=truth.device)
    area = found[-1]
    intersection, union = (area - found).float(), (area + pixels - found).float()
    return torch.where(truth, 1 / union, intersection / (union * (union - 1)))
