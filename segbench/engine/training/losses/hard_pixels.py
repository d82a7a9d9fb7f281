"""Losses that choose or weigh pixels: online hard example mining, and weights near boundaries."""

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
"""Standard deviations from a boundary from which on a pixel weighs no more: the rest is 0.03 % of the weight there."""
_WIDEST_SIGMA = 250.0
"""Wider ones would reach further than squared distances fit into 32 bits beside a label."""


def ohem_cross_entropy(classes: int, *, threshold: float = 0.7, min_kept: int = 100_000) -> Loss:
    """Cross-entropy over hard pixels only (online hard example mining): those whose own class gets a low probability.

    Averaged over the pixels that are kept. Shrivastava, Gupta, Girshick, "Training Region-based Object Detectors with
    Online Hard Example Mining", CVPR 2016, by pixels instead of regions; ``threshold`` and ``min_kept`` as in
    mmsegmentation's OHEMPixelSampler, except that pixels as hard as the last one that is needed are kept, too, and
    that all are where there are no more than ``min_kept``.

    Args:
        classes: The number of classes.
        threshold: Pixels with a lower probability of their label are kept; 0 keeps the hardest ``min_kept`` only.
        min_kept: At least so many pixels an image of the batch are kept, of all images together; images that are all
            void do not count.

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
    """Cross-entropy in which pixels near a boundary between classes weigh more, averaged over labelled pixels.

    A pixel's weight is its class's plus w0 exp(-d^2 / (2 sigma^2)). Ronneberger, Fischer, Brox, "U-Net", MICCAI 2015,
    equation 2, with d as the distance to the nearest pixel of another class: the paper has the distances to the two
    nearest cells there, and labels of classes do not tell one cell from the next. Void pixels are of no class. The
    weights are computed from the labels on the device, for every batch anew.

    Args:
        classes: The number of classes.
        w0: What a boundary adds to the weight.
        sigma: How far it reaches, in pixels; beyond four times as many it adds nothing.
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
        """Return which pixels are hard, of (N, H, W) losses; without waiting for the device."""
        below = losses > -math.log(self.threshold) if self.threshold else torch.zeros_like(labelled)
        if not losses.numel():
            return below
        hardest = losses.where(labelled, -math.inf).flatten().sort(descending=True).values
        images = labelled.flatten(start_dim=1).any(dim=1).sum()  # those that are all void change nothing
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
        """Return the weight of each pixel, (N, H, W) float32, from int64 labels; that of void pixels means nothing."""
        reach = math.ceil(_REACH * self.sigma)
        squared = squared_distance_to_other_class(labels, reach=reach, void=IGNORE_INDEX)
        near = self.w0 * torch.exp(-squared / (2 * self.sigma**2))
        if self.weights is None:
            return near + 1
        return near + self.weights.to(labels.device)[labels.where(labels != IGNORE_INDEX, 0)]
