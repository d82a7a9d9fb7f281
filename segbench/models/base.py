"""What a network has to be: a factory called with classes and channels, and the facts it carries."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from segbench.errors import ModelRefusal


@dataclass(frozen=True)
class InputConstraint:
    """Which input sizes a network takes.

    Attributes:
        minimum: Smallest height and width.
        step: Height and width above the minimum go in steps of this.
        reason: Why, in a few words.
    """

    minimum: int = 1
    step: int = 1
    reason: str = ""

    def __str__(self) -> str:
        if self.minimum == 1 and self.step == 1:
            return "any size"
        rule = f"height and width at least {self.minimum}"
        if self.step > 1:
            rule += f", in steps of {self.step} from there"
        return f"{rule} ({self.reason})" if self.reason else rule

    def allows(self, size: int) -> bool:
        """Return whether a height or width is possible."""
        return size >= self.minimum and (size - self.minimum) % self.step == 0

    def check(self, name: str, height: int, width: int) -> None:
        """Refuse an impossible input size.

        Raises:
            ModelRefusal: The size is impossible; the message says which are not.
        """
        if not (self.allows(height) and self.allows(width)):
            multiple = self.multiple(height, width)
            remedy = "" if multiple is None else f"; 'pad_to: {multiple}' in its entry pads them"
            raise ModelRefusal(f"{name} cannot take {height}x{width} images: it needs {self}{remedy}")

    def multiple(self, height: int, width: int) -> int | None:
        """Return a multiple to which images can be padded so that their size is possible; None where there is none."""
        for multiple in (self.step, -(-self.minimum // self.step) * self.step):
            if multiple > 1 and all(self.allows(-(-size // multiple) * multiple) for size in (height, width)):
                return multiple
        return None

    def next(self, size: int) -> int:
        """Return the smallest possible height or width that is not below ``size``."""
        above = max(size - self.minimum, 0)
        return self.minimum + -(-above // self.step) * self.step


ANY_SIZE = InputConstraint()


def constraint_of(network: nn.Module) -> InputConstraint:
    """Return which image sizes a network takes, any if it does not say."""
    constraint = getattr(network, "input_constraint", ANY_SIZE)
    return constraint if isinstance(constraint, InputConstraint) else ANY_SIZE


class SegmentationNetwork(nn.Module):
    """Base of the built-in networks: maps (N, channels, H, W) images to (N, classes, H, W) logits.

    Attributes:
        citation: The paper.
        input_constraint: Which input sizes the network takes.
        output_margin: Pixels that the output lacks on every side (valid convolutions); 0 for all others.
    """

    citation: str = ""
    input_constraint: InputConstraint = ANY_SIZE
    output_margin: int = 0

    def check_size(self, images: Tensor) -> None:
        """Refuse (N, C, H, W) images of a size that the network cannot take; ``forward`` begins with it.

        Raises:
            ModelRefusal: The size is impossible; the message says which are not.
        """
        self.input_constraint.check(type(self).__name__, images.shape[-2], images.shape[-1])


class OverlapTile(nn.Module):
    """Mirrors the border of the input so that a network with a margin labels every pixel (U-Net paper, figure 2).

    Takes any size; the input is first extended to one that the network takes.
    """

    def __init__(self, network: SegmentationNetwork) -> None:
        super().__init__()
        self.model = network  # "model.": a prefix that weights are compared without
        self.citation = network.citation
        self.input_constraint = ANY_SIZE

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, C, H, W) images to (N, classes, H, W) logits."""
        margin, constraint = self.model.output_margin, self.model.input_constraint
        height, width = images.shape[-2:]
        rows, columns = (constraint.next(size + 2 * margin) for size in (height, width))
        bottom, right = rows - height - margin, columns - width - margin
        padded = mirror(images, top=margin, bottom=bottom, left=margin, right=right)
        logits: Tensor = self.model(padded)
        return logits[..., :height, :width]


def mirror(images: Tensor, *, top: int, bottom: int, left: int, right: int) -> Tensor:
    """Pad (N, C, H, W) images by reflection, as often as it takes when the padding exceeds the image."""
    while top or bottom or left or right:
        height, width = images.shape[-2:]
        now = [min(left, width - 1), min(right, width - 1), min(top, height - 1), min(bottom, height - 1)]
        if not any(now):
            return functional.pad(images, (left, right, top, bottom), mode="replicate")
        images = functional.pad(images, now, mode="reflect")
        left, right, top, bottom = left - now[0], right - now[1], top - now[2], bottom - now[3]
    return images


def count_parameters(network: nn.Module) -> int:
    """Return the number of learned parameters (fixed bilinear kernels and running statistics not counted)."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def count_macs(network: nn.Module, channels: int, height: int, width: int, *, device: str = "meta") -> int:
    """Return the multiply-adds of one forward pass of one image, counted on the meta device unless another is named.

    Half of what ``torch.utils.flop_counter`` counts: it knows convolutions and matrix products, which is what
    papers count.
    """
    from copy import deepcopy

    from torch.utils.flop_counter import FlopCounterMode

    network = deepcopy(network).to(device).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, channels, height, width, device=device))
    flops: int = counter.get_total_flops()
    return flops // 2
