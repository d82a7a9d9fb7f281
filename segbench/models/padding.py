"""Pads images to a multiple that a network needs, and crops its logits."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn
from torch.nn import functional

from segbench.models.base import ANY_SIZE, InputConstraint

MOST_STEPS = 4096
"""Number of multiples tried to find a supported size."""


@dataclass(frozen=True)
class PaddedConstraint(InputConstraint):
    """The input sizes supported with padding.

    Attributes:
        pad_to: Height and width are padded to a multiple of this.
        inner: The padded sizes that the network supports.
    """

    pad_to: int = 1
    inner: InputConstraint = field(default=ANY_SIZE)

    def __str__(self) -> str:
        return f"{self.inner}, images being padded to a multiple of {self.pad_to}"

    def allows(self, size: int) -> bool:
        """Return whether a height or width is supported."""
        return self.inner.allows(padded(size, self.pad_to))

    def next(self, size: int) -> int:
        """Return the smallest supported height or width of at least ``size``."""
        if self.allows(size):
            return size
        start = padded(size, self.pad_to)
        multiples = range(start, start + MOST_STEPS * self.pad_to, self.pad_to)
        return next((multiple - self.pad_to + 1 for multiple in multiples if self.inner.allows(multiple)), size)


def padded(size: int, pad_to: int) -> int:
    """Return the smallest multiple of ``pad_to`` of at least a height or width."""
    return -(-size // pad_to) * pad_to


def pad(images: Tensor, pad_to: int) -> Tensor:
    """Pad (N, C, H, W) images with zeros at the bottom and the right until both sides are multiples.

    For normalised images, zero is the mean colour.
    """
    bottom, right = (-size % pad_to for size in images.shape[-2:])
    return functional.pad(images, (0, right, 0, bottom)) if bottom or right else images


class Padded(nn.Module):
    """Wraps a built-in network: pads images to a multiple and crops the logits to the image.

    Attributes:
        citation: The network's citation.
        input_constraint: The image sizes that can be padded to a supported size.
    """

    def __init__(self, network: nn.Module, constraint: InputConstraint, pad_to: int) -> None:
        super().__init__()
        self.model = network  # the prefix "model." is ignored when weights are matched
        self.pad_to = pad_to
        self.citation = str(getattr(network, "citation", ""))
        self.input_constraint = PaddedConstraint(pad_to=pad_to, inner=constraint)

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, C, H, W) images to (N, classes, H, W) logits."""
        height, width = images.shape[-2:]
        logits: Tensor = self.model(pad(images, self.pad_to))
        return logits[..., :height, :width]
