"""Finds supported sizes of external networks by trying blank images; errors suggest a remedy."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from segbench.errors import ModelRefusal, one_line
from segbench.models.external import ExternalNetwork
from segbench.models.padding import pad
from segbench.models.tryout import copied

SUGGESTED = (8, 16, 32, 64)
"""Multiples tried for padding if a network fails on a size."""
FIXED = (224, 256, 384, 448, 512)
"""Typical fixed image sides of transformers."""
MOST_SIZES = 8
"""Number of sizes tried, with different remainders modulo the last of ``SUGGESTED``."""

_STATED = range(16, 2049)
"""Pattern of numbers in an error that may be the supported side."""


class _Failure(NamedTuple):
    """An image size on which a network fails, and the error."""

    size: tuple[int, int]
    error: str

    def __str__(self) -> str:
        return f"{self.size[0]}x{self.size[1]} images ({self.error})"


def refuse_sizes(network: nn.Module, *, channels: int, sizes: Iterable[tuple[int, int]]) -> None:
    """Run an external network on images of some sizes; if it fails but other sizes work, raise an error that says so.

    Args:
        network: Any network; fast on the meta device.
        channels: Channels of the images.
        sizes: Heights and widths of its inputs.

    Raises:
        ModelRefusal: It fails on a size, but works on padded images or on its fixed size.
    """
    if not isinstance(network, ExternalNetwork) or any(map(is_lazy, network.parameters())):
        return
    differing = _differing(sizes)
    with copied(network) as copy:
        errors = {size: _error(copy, channels, size, 1) for size in differing}
        failures = [_Failure(size, error) for size, error in errors.items() if error is not None]
        if not failures:
            return
        sides = (*_stated(failures), *FIXED)
        for step in dict.fromkeys((*SUGGESTED, *sides)):
            if not any(_error(copy, channels, size, step) for size in differing):
                raise ModelRefusal(
                    f"{network.name} fails on {failures[0]} and takes them padded: "
                    f"write 'pad_to: {step}' in the model's entry"
                )
        for side in dict.fromkeys(sides):
            if _error(copy, channels, (side, side), 1) is None:
                raise ModelRefusal(
                    f"{network.name} fails on {failures[0]} and takes {side}x{side} ones: resize images to that, or "
                    f"train on crops (random_crop) and evaluate in tiles of that size (evaluate.window)"
                )


def _differing(sizes: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return some sizes with different remainders, and the largest."""
    last = SUGGESTED[-1]
    given = sorted(sizes, reverse=True)
    return list({(height % last, width % last): (height, width) for height, width in given}.values())[:MOST_SIZES]


def _stated(failures: Sequence[_Failure]) -> list[int]:
    """Return the sides mentioned in errors, except those of the images."""
    seen = {side for failure in failures for side in failure.size}
    numbers = [int(found) for failure in failures for found in re.findall(r"\d+", failure.error)]
    return [number for number in dict.fromkeys(numbers) if number in _STATED and number not in seen]


def _error(network: ExternalNetwork, channels: int, size: tuple[int, int], step: int) -> str | None:
    """Return why a network fails on an image size padded to a multiple; None if it works."""
    weight = next(network.parameters(), torch.zeros(()))
    images = torch.zeros(1, channels, *size, device=weight.device, dtype=weight.dtype)
    network.eval()
    try:
        with torch.no_grad():
            network.model(pad(pad(images, network.step), step))
    except Exception as error:  # any error of an external network
        return one_line(error, most=200) or type(error).__name__
    return None
