"""How far each pixel is from the nearest one of another class, by integer arithmetic on any device."""

from __future__ import annotations

import torch
from torch import Tensor

_LABEL_BITS = 8
_FAR = torch.iinfo(torch.int32).max >> 1
"""No candidate: squared distances that are added to it do not overflow."""


def squared_distance_to_other_class(labels: Tensor, *, reach: int, void: int) -> Tensor:
    """Return each labelled pixel's squared Euclidean distance to the nearest pixel with another label.

    Exact, and the same on every device. Each pixel keeps its two nearest candidates of different labels, first along
    its row and then over rows, so that the cost grows with the reach and not with its square or with the classes.

    Args:
        labels: (N, H, W) integer labels below 256.
        reach: The largest distance along each axis that is looked at, in pixels.
        void: The label of pixels that belong to no class: they have no distance and are none to others.

    Returns:
        (N, H, W) float32; infinite where there is no such pixel within ``reach``, and at void pixels.
    """
    found = torch.stack([_of_one_image(label, reach, void) for label in labels]) if len(labels) else labels.float()
    return found.reshape(labels.shape)


def _of_one_image(label: Tensor, reach: int, void: int) -> Tensor:
    """Return (H, W) squared distances; one image at a time stays in a processor's cache."""
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
    """Return the steps along an axis that stay in the image, without 0."""
    furthest = min(reach, size - 1)
    return [sign * step for step in range(1, furthest + 1) for sign in (1, -1)]


def _insert(nearest: Tensor, other: Tensor, candidates: Tensor, *, offset: int, axis: int) -> None:
    """Take candidates that are ``offset`` pixels away into the two nearest ones of different labels, in place.

    A candidate is one integer, squared distance times 256 plus label, so that the smaller one is the nearer.
    """
    size = candidates.shape[axis] - abs(offset)
    here = max(0, -offset)
    shifted = candidates.narrow(axis, here + offset, size) + (offset**2 << _LABEL_BITS)
    first, second = nearest.narrow(axis, here, size), other.narrow(axis, here, size)
    same = ((shifted ^ first) & ((1 << _LABEL_BITS) - 1)) == 0
    later = torch.maximum(first, shifted)
    second.copy_(torch.where(same, second, torch.minimum(second, later)))
    first.copy_(torch.minimum(first, shifted))
