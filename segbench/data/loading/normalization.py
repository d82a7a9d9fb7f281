"""Normalises images per channel with a given or measured mean and standard deviation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

from segbench.data.base import ImageFormat
from segbench.errors import DataError

_IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
"""Mean and standard deviation of ImageNet, the defaults below."""

_REMEDY = "write {name: normalize, statistics: measured}, or mean and std with a number for each channel"


def normalize(
    *,
    mean: list[float] = [0.485, 0.456, 0.406],  # noqa: B006 - read as literals, never changed
    std: list[float] = [0.229, 0.224, 0.225],  # noqa: B006
    statistics: Literal["given", "measured"] = "given",
) -> v2.Transform:
    """Subtract the mean and divide by the standard deviation of each channel; the last step.

    8-bit images are scaled to [0, 1] first; for others, mean and std are in the images' own units.

    Args:
        mean: Mean of each channel; ImageNet's by default.
        std: Standard deviation of each channel; ImageNet's by default.
        statistics: ``measured`` uses mean and std of the training split's images (in a cross-validation, of the
            training folds) instead of the two above.
    """
    if len(mean) != len(std) or not std or min(std) <= 0:
        raise DataError(f"normalize: mean {mean}, std {std}: expected as many numbers for both, and std above 0")
    if statistics == "measured" and (mean, std) != _IMAGENET:
        raise DataError("normalize: gives mean and std, and has them measured; leave out one or the other")
    return Normalize(mean, std, measured=statistics == "measured")


class Normalize(v2.Transform):  # type: ignore[misc]
    """Normalises with one multiplication and one addition per pixel.

    Attributes:
        pixel_mean: The mean of each channel in the pixels' own units.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], *, measured: bool, scale: float = 255) -> None:
        super().__init__()
        self._given, self._measured = (list(mean), list(std)), measured
        self.mean = torch.tensor(mean, dtype=torch.float32).mul(scale).view(-1, 1, 1)
        self.std = torch.tensor(std, dtype=torch.float32).mul(scale).view(-1, 1, 1)

    @property
    def pixel_mean(self) -> list[float]:
        """The mean of each channel in the pixels' own units."""
        found: list[float] = self.mean.flatten().tolist()
        return found

    def adapt_to(self, images: ImageFormat, fill: Sequence[float]) -> Normalize:  # noqa: ARG002 - of all steps
        """Return the step for images of a format.

        Raises:
            DataError: Its numbers do not match the images, or were not measured.
        """
        if self._measured:
            if images.statistics is None:
                raise DataError("normalize: statistics: measured, but there is no training split to measure them in")
            mean, std = (list(numbers) for numbers in images.statistics)
        else:
            mean, std = self._given
            self._check(images)
        scale = 255 if images.dtype == "uint8" else 1
        return Normalize(mean, std, measured=self._measured, scale=scale)

    def _check(self, images: ImageFormat) -> None:
        mean, std = self._given
        if (mean, std) == _IMAGENET and not images.is_rgb8:
            raise DataError(f"normalize: has ImageNet's mean and std, but the images have {images}; {_REMEDY}")
        if len(mean) != images.channels:
            raise DataError(f"normalize: mean {mean} has {len(mean)} numbers, but the images {images}; {_REMEDY}")
        if images.dtype == "uint8" and max(mean) > 1:
            raise DataError(f"normalize: mean {mean}: 8-bit images are scaled to [0, 1] before; give shares of 255")

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:  # noqa: ARG002 - torchvision's signature
        """Return a (C, H, W) image as float32; labels are unchanged."""
        if isinstance(inpt, tv_tensors.Mask):
            return inpt
        pixels = inpt.as_subclass(torch.Tensor)
        return tv_tensors.Image(pixels.to(torch.float32, copy=True).sub_(self.mean).div_(self.std))
