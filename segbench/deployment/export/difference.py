"""Compares the outputs of an exported network with those of the network in PyTorch, on seeded images."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from segbench.errors import ModelRefusal

BOUND = 1e-3
"""Largest mean difference of the scores, as a share of their mean magnitude, of an export that is accepted.

Rounding gives about 1e-6. The mean is bounded, since single scores may differ more without a fault: the switches of
max-unpooling (SegNet, DeconvNet) choose another place where two values are equal but for rounding.
"""

Shape = tuple[int, int, int, int]
Forward = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Difference:
    """How far scores are from those of PyTorch.

    Attributes:
        largest: The largest absolute difference.
        mean: The mean absolute difference.
        magnitude: The mean magnitude of PyTorch's scores.
    """

    largest: float
    mean: float
    magnitude: float

    @property
    def share(self) -> float:
        """The mean difference as a share of the mean magnitude."""
        return self.mean / self.magnitude if self.magnitude else self.mean

    def __str__(self) -> str:
        return f"largest difference {self.largest:.2g}, mean {self.mean:.2g} of scores of {self.magnitude:.2g}"


@torch.inference_mode()
def difference_of(network: nn.Module, exported: Forward, shapes: Iterable[Shape], *, seed: int = 0) -> Difference:
    """Compare scores on normally distributed images.

    Args:
        network: The network in PyTorch, on the CPU.
        exported: Maps (N, C, H, W) images to (N, classes, H, W) scores.
        shapes: Shapes (N, C, H, W) of the images.
        seed: Seed of the images.

    Raises:
        ModelRefusal: The scores have another shape, or are not finite.
    """
    generator = torch.Generator().manual_seed(seed)
    found, expected_sizes = [], []
    for shape in shapes:
        images = torch.randn(shape, generator=generator)
        expected = network.eval()(images).float()
        scores = exported(images).float()
        if scores.shape != expected.shape:
            raise ModelRefusal(f"gave scores {tuple(scores.shape)} for {shape}, PyTorch {tuple(expected.shape)}")
        if bool(expected.isfinite().all()) and not bool(scores.isfinite().all()):
            raise ModelRefusal("gave scores that are not finite, PyTorch finite ones")
        found.append((scores - expected).abs().flatten())
        expected_sizes.append(expected.abs().flatten())
    differences, magnitudes = torch.cat(found), torch.cat(expected_sizes)
    return Difference(float(differences.max()), float(differences.mean()), float(magnitudes.mean()))


def refuse_large(found: Difference) -> None:
    """Refuse an export whose scores differ by more than rounding.

    Raises:
        ModelRefusal: The mean difference is above the bound.
    """
    if not found.share <= BOUND:
        raise ModelRefusal(
            f"its scores are not those of PyTorch: {found}; the mean may be {BOUND:g} of the scores' magnitude"
        )
