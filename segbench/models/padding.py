"""Pads images to a multiple of what a network's poolings need, and crops its logits back."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn
from torch.nn import functional

from segbench.models.base import ANY_SIZE, InputConstraint

MOST_STEPS = 4096
"""So many multiples are looked through for a size that a network takes."""


@dataclass(frozen=True)
class PaddedConstraint(InputConstraint):
    """Which input sizes a network takes whose images are padded.

    Attributes:
        pad_to: Height and width are padded to a multiple of this.
        inner: Which padded sizes the network takes.
    """

    pad_to: int = 1
    inner: InputConstraint = field(default=ANY_SIZE)

    def __str__(self) -> str:
        return f"{self.inner}, images being padded to a multiple of {self.pad_to}"

    def allows(self, size: int) -> bool:
        """Return whether a height or width is possible."""
        return self.inner.allows(padded(size, self.pad_to))

    def next(self, size: int) -> int:
        """Return the smallest possible height or width that is not below ``size``."""
        if self.allows(size):
            return size
        start = padded(size, self.pad_to)
        multiples = range(start, start + MOST_STEPS * self.pad_to, self.pad_to)
        return next((multiple - self.pad_to + 1 for multiple in multiples if self.inner.allows(multiple)), size)


def padded(size: int, pad_to: int) -> int:
    """Return the smallest multiple of ``pad_to`` that is not below a height or width."""
    return -(-size // pad_to) * pad_to


def pad(images: Tensor, pad_to: int) -> Tensor:
    """Pad (N, C, H, W) images with zeros at the bottom and the right until both sides are multiples.

    Zero is the mean colour where images are normalised.
    """
    bottom, right = (-size % pad_to for size in images.shape[-2:])
    return functional.pad(images, (0, right, 0, bottom)) if bottom or right else images


class Padded(nn.Module):
    """A built-in network whose images are padded to a multiple, its logits being cropped to the image.

    Attributes:
        citation: That of the network.
        input_constraint: Which sizes of images can be padded to what it takes.
    """

    def __init__(self, network: nn.Module, constraint: InputConstraint, pad_to: int) -> None:
        super().__init__()
        self.model = network  # "model.": a prefix that weights are compared without
        self.pad_to = pad_to
        self.citation = str(getattr(network, "citation", ""))
        self.input_constraint = PaddedConstraint(pad_to=pad_to, inner=constraint)

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, C, H, W) images to (N, classes, H, W) logits."""
        height, width = images.shape[-2:]
        logits: Tensor = self.model(pad(images, self.pad_to))
        return logits[..., :height, :width]
