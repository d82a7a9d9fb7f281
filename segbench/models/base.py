"""The interface of networks: constraints on input sizes, and the base class of built-in networks."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from segbench.errors import ModelRefusal


@dataclass(frozen=True)
class InputConstraint:
    """The input sizes that a network supports.

    Attributes:
        minimum: Smallest height and width.
        step: Step of height and width above the minimum.
        reason: The reason in a few words.
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
        """Return whether a height or width is supported."""
        return size >= self.minimum and (size - self.minimum) % self.step == 0

    def check(self, name: str, height: int, width: int) -> None:
        """Refuse an unsupported input size.

        Raises:
            ModelRefusal: The size is not supported; the message says which are.
        """
        if not (self.allows(height) and self.allows(width)):
            multiple = self.multiple(height, width)
            remedy = "" if multiple is None else f"; 'pad_to: {multiple}' in its entry pads them"
            raise ModelRefusal(f"{name} cannot take {height}x{width} images: it needs {self}{remedy}")

    def multiple(self, height: int, width: int) -> int | None:
        """Return a multiple to which images can be padded to get a supported size; None if there is none."""
        for multiple in (self.step, -(-self.minimum // self.step) * self.step):
            if multiple > 1 and all(self.allows(-(-size // multiple) * multiple) for size in (height, width)):
                return multiple
        return None

    def next(self, size: int) -> int:
        """Return the smallest supported height or width of at least ``size``."""
        above = max(size - self.minimum, 0)
        return self.minimum + -(-above // self.step) * self.step


ANY_SIZE = InputConstraint()


def constraint_of(network: nn.Module) -> InputConstraint:
    """Return a network's input constraint; any size if it declares none."""
    constraint = getattr(network, "input_constraint", ANY_SIZE)
    return constraint if isinstance(constraint, InputConstraint) else ANY_SIZE


class SegmentationNetwork(nn.Module):
    """Base class of the built-in networks: maps (N, channels, H, W) images to (N, classes, H, W) logits.

    Attributes:
        citation: The paper.
        input_constraint: The supported input sizes.
        output_margin: Pixels missing on each side of the output (valid convolutions); otherwise 0.
    """

    citation: str = ""
    input_constraint: InputConstraint = ANY_SIZE
    output_margin: int = 0

    def check_size(self, images: Tensor) -> None:
        """Refuse (N, C, H, W) images of an unsupported size; called at the start of ``forward``.

        Raises:
            ModelRefusal: The size is not supported; the message says which are.
        """
        self.input_constraint.check(type(self).__name__, images.shape[-2], images.shape[-1])


class OverlapTile(nn.Module):
    """Mirrors the border of the input so that a network with a margin labels every pixel (U-Net paper, figure 2).

    Supports any size; the input is first extended to a supported one.
    """

    def __init__(self, network: SegmentationNetwork) -> None:
        super().__init__()
        self.model = network  # the prefix "model." is ignored when weights are matched
        self.citation = network.citation
        self.input_constraint = ANY_SIZE

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, C, H, W) images to (N, classes, H, W) logits."""
        margin, constraint = self.model.output_margin, self.model.input_constraint
        height, width = (int(side) for side in images.shape[-2:])  # exporters take them for constants
        rows, columns = (constraint.next(size + 2 * margin) for size in (height, width))
        bottom, right = rows - height - margin, columns - width - margin
        padded = mirror(images, top=margin, bottom=bottom, left=margin, right=right)
        logits: Tensor = self.model(padded)
        return logits[..., :height, :width]


def mirror(images: Tensor, *, top: int, bottom: int, left: int, right: int) -> Tensor:
    """Pad (N, C, H, W) images by reflection, repeatedly if the padding exceeds the image."""
    while top or bottom or left or right:
        height, width = (int(side) for side in images.shape[-2:])
        now = [min(left, width - 1), min(right, width - 1), min(top, height - 1), min(bottom, height - 1)]
        if not any(now):
            return functional.pad(images, (left, right, top, bottom), mode="replicate")
        images = functional.pad(images, now, mode="reflect")
        left, right, top, bottom = left - now[0], right - now[1], top - now[2], bottom - now[3]
    return images


def count_parameters(network: nn.Module) -> int:
    """Return the number of learned parameters, without fixed bilinear kernels and running statistics."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def count_macs(network: nn.Module, channels: int, height: int, width: int, *, device: str = "meta") -> int:
    """Return the multiply-adds of one forward pass of one image; counted on the meta device by default.

    Half of the count of ``torch.utils.flop_counter``, which counts convolutions and matrix products, as papers do.
    """
    from copy import deepcopy

    from torch.utils.flop_counter import FlopCounterMode

    network = deepcopy(network).to(device).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, channels, height, width, device=device))
    flops: int = counter.get_total_flops()
    return flops // 2
