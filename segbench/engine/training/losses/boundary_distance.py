"""Computes each pixel's distance to the nearest pixel of another class, in integers on any device."""

from __future__ import annotations

import torch
from torch import Tensor

_LABEL_BITS = 8
_FAR = torch.iinfo(torch.int32).max >> 1
"""Marks a missing candidate; adding squared distances to it does not overflow."""


def squared_distance_to_other_class(labels: Tensor, *, reach: int, void: int) -> Tensor:
    """Return each labelled pixel's squared Euclidean distance to the nearest pixel with another label.

    Exact, with equal results on all devices. Each pixel keeps its two nearest candidates with different labels, first
    within its row and then over rows. So the cost is linear in ``reach`` and does not depend on the number of classes.

    Args:
        labels: (N, H, W) integer labels below 256.
        reach: The largest distance along each axis, in pixels.
        void: The label of void pixels; they get no distance and do not count as another class.

    Returns:
        (N, H, W) float32; infinite for void pixels, and if there is no such pixel within ``reach``.
    """
    found = torch.stack([_of_one_image(label, reach, void) for label in labels]) if len(labels) else labels.float()
    return found.reshape(labels.shape)


def _of_one_image(label: Tensor, reach: int, void: int) -> Tensor:
    """Return (H, W) squared distances of one image, which fits into a CPU's cache."""
    void_pixels = label == void
    own = label.to(torch.int32).masked_fill(void_pixels, _FAR)
    nearest, other = own.clone(), torch.full_like(own, _FAR)
    for offset in _offsets(reach, own.shape[1]):
        _insert(nearest, other, own, offset=offset, axis=1)
    rows = nearest.clone(), other.clone()
    for offset in _offsets(reach, own.shape[0]):
        for candidates in rows:
            _insert(nearest, other, candidates, offset=offset, axis=0)
    squared = (other >> _LABEL_BITS).float()
    unknown = void_pixels | (other >= _FAR) | (squared > reach**2)
    return squared.masked_fill(unknown, torch.inf)


def _offsets(reach: int, size: int) -> list[int]:
    """Return the offsets along an axis that stay within the image, without 0."""
    furthest = min(reach, size - 1)
    return [sign * step for step in range(1, furthest + 1) for sign in (1, -1)]


def _insert(nearest: Tensor, other: Tensor, candidates: Tensor, *, offset: int, axis: int) -> None:
    """Merge candidates ``offset`` pixels away into the two nearest ones with different labels, in place.

    A candidate is the integer 256 * squared distance + label, so smaller means nearer.
    """
    size = candidates.shape[axis] - abs(offset)
    here = max(0, -offset)
    shifted = candidates.narrow(axis, here + offset, size) + (offset**2 << _LABEL_BITS)
    first, second = nearest.narrow(axis, here, size), other.narrow(axis, here, size)
    same = ((shifted ^ first) & ((1 << _LABEL_BITS) - 1)) == 0
    later = torch.maximum(first, shifted)
    second.copy_(torch.where(same, second, torch.minimum(second, later)))
    first.copy_(torch.minimum(first, shifted))
