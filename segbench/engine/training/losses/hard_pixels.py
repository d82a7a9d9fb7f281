"""Losses that select or weight pixels: online hard example mining, and boundary weights."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from segbench.engine.training.losses.base import IGNORE_INDEX, Loss, cross_entropies, mean_over_labelled
from segbench.engine.training.losses.boundary_distance import squared_distance_to_other_class
from segbench.engine.training.losses.class_weights import class_weights_tensor
from segbench.errors import UsageError

_REACH = 4
"""Cut-off of the boundary weight in standard deviations; beyond it the weight is below 0.03 % of its maximum."""
_WIDEST_SIGMA = 250.0
"""Larger values would overflow the 32 bits that hold squared distance and label."""


def ohem_cross_entropy(classes: int, *, threshold: float = 0.7, min_kept: int = 100_000) -> Loss:
    """Cross-entropy over hard pixels only (OHEM): those with a low probability of their labelled class.

    Averaged over the kept pixels. Shrivastava, Gupta, Girshick, "Training Region-based Object Detectors with Online
    Hard Example Mining", CVPR 2016, for pixels instead of regions. ``threshold`` and ``min_kept`` are as in
    mmsegmentation's OHEMPixelSampler, with two differences: ties with the last kept pixel are kept too, and all pixels
    are kept if there are at most ``min_kept``.

    Args:
        classes: The number of classes.
        threshold: Pixels with a lower probability of their label are kept; 0 keeps the hardest ``min_kept`` only.
        min_kept: Minimum number of kept pixels per image, applied to the batch as a whole; images without labelled
            pixels do not count.

    Raises:
        UsageError: An option is out of its range.
    """
    if not 0 <= threshold <= 1:
        raise UsageError(f"ohem_cross_entropy: threshold is {threshold}; expected a probability from 0 to 1")
    if min_kept < 1:
        raise UsageError(f"ohem_cross_entropy: min_kept is {min_kept}; expected at least 1 pixel")
    return _HardPixels(classes, threshold, min_kept)


def boundary_cross_entropy(
    classes: int,
    *,
    w0: float = 10.0,
    sigma: float = 5.0,
    class_weights: Literal["none", "median_frequency"] | list[float] = "none",
) -> Loss:
    """Cross-entropy with larger weights near class boundaries, averaged over labelled pixels.

    A pixel's weight is its class weight plus w0 exp(-d^2 / (2 sigma^2)). Ronneberger, Fischer, Brox, "U-Net", MICCAI
    2015, equation 2, where d is the distance to the nearest pixel of another class. The paper uses the distances to the
    two nearest cells, which class labels do not distinguish. Void pixels have no class. Weights are computed from the
    labels on the device for each batch.

    Args:
        classes: The number of classes.
        w0: Weight added at a boundary.
        sigma: Width of the added weight in pixels; it is 0 beyond four times this distance.
        class_weights: ``none`` (1 each), ``median_frequency`` (measured on the training split), or one for each class.

    Raises:
        UsageError: An option is out of its range, or the weights do not fit the classes or were not measured yet.
    """
    weights = class_weights_tensor("boundary_cross_entropy", class_weights, classes=classes)
    if w0 < 0 or not 0 < sigma <= _WIDEST_SIGMA:
        raise UsageError(
            f"boundary_cross_entropy: w0 {w0} and sigma {sigma}: expected w0 of at least 0, sigma above 0 and at most "
            f"{_WIDEST_SIGMA:g} pixels"
        )
    return _BoundaryWeighted(classes, w0, sigma, weights)


class _HardPixels(Loss):
    def __init__(self, classes: int, threshold: float, min_kept: int) -> None:
        super().__init__(classes)
        self.threshold, self.min_kept = threshold, min_kept

    def compute(self, logits: Tensor, labels: Tensor) -> Tensor:
        losses, labelled = cross_entropies(logits, labels), labels != IGNORE_INDEX
        return mean_over_labelled(losses, self._hard(losses.detach(), labelled) & labelled)

    def _hard(self, losses: Tensor, labelled: Tensor) -> Tensor:
        """Return the mask of hard pixels of (N, H, W) losses, without waiting for the device."""
        below = losses > -math.log(self.threshold) if self.threshold else torch.zeros_like(labelled)
        if not losses.numel():
            return below
        hardest = losses.where(labelled, -math.inf).flatten().sort(descending=True).values
        images = labelled.flatten(start_dim=1).any(dim=1).sum()  # images without labelled pixels do not count
        last = (self.min_kept * images - 1).clamp(min=0, max=len(hardest) - 1)
        return below | (losses >= hardest.index_select(0, last.reshape(1)))


class _BoundaryWeighted(Loss):
    is_pixel_mean = True

    def __init__(self, classes: int, w0: float, sigma: float, weights: Tensor | None) -> None:
        super().__init__(classes, weights)
        self.w0, self.sigma = w0, sigma

    def compute(self, logits: Tensor, labels: Tensor) -> Tensor:
        losses = cross_entropies(logits, labels) * self.pixel_weights(labels)
        return mean_over_labelled(losses, labels != IGNORE_INDEX)

    @torch.no_grad()
    def pixel_weights(self, labels: Tensor) -> Tensor:
        """Return the weight of each pixel, (N, H, W) float32, from int64 labels; undefined for void pixels."""
        reach = math.ceil(_REACH * self.sigma)
        squared = squared_distance_to_other_class(labels, reach=reach, void=IGNORE_INDEX)
        near = self.w0 * torch.exp(-squared / (2 * self.sigma**2))
        if self.weights is None:
            return near + 1
        return near + self.weights.to(labels.device)[labels.where(labels != IGNORE_INDEX, 0)]
