"""Preprocessing and augmentation transforms on tv_tensors; label values are never interpolated.

Each factory returns a ``torchvision.transforms.v2.Transform`` of an image, or of an image and its label. Images are
uint8, or float32 if they are not stored with 8 bits. A transform that depends on channels has a method
``adapt_to(images, fill)``, which returns the transform for an image format.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional as F  # noqa: N812 - its usual name

from segbench.data.base import IGNORE_INDEX, ImageFormat
from segbench.errors import DataError
from segbench.option_kinds import PositiveFloat, Probability, Size

MEAN_COLOR = (124, 116, 104)
"""Fill colour outside of 8-bit RGB images: the ImageNet mean, which normalisation maps to zero."""


def resize(*, size: Size | None = None, scale: PositiveFloat | None = None) -> v2.Transform:
    """Resize to a fixed height and width, or by a fixed factor.

    Args:
        size: Height and width in pixels.
        scale: The factor, for images of several sizes; the aspect ratio stays.
    """
    if (size is None) == (scale is None):
        raise DataError("resize: needs either size (height and width in pixels) or scale (a factor)")
    if size is not None:
        return _Resize(_checked_size("resize", size))
    if scale is None or not scale > 0:
        raise DataError(f"resize: scale is {scale}; expected a factor above 0, such as 0.5")
    return _Scale(scale)


def random_scale(*, minimum: PositiveFloat = 0.5, maximum: PositiveFloat = 2.0) -> v2.Transform:
    """Resize by a random factor, keeping the aspect ratio.

    Args:
        minimum: The smallest factor.
        maximum: The largest factor.
    """
    if not 0 < minimum <= maximum:
        raise DataError(f"random_scale: {minimum} to {maximum} is no range of factors; expected 0 < minimum <= maximum")
    return _RandomScale(minimum, maximum)


def random_crop(*, size: Size, pad: bool = True) -> v2.Transform:
    """Cut out a random window of a fixed size.

    Args:
        size: Height and width in pixels.
        pad: Whether to pad smaller images with the mean colour and void labels; else they are an error.
    """
    return _RandomCrop(_checked_size("random_crop", size), pad=pad, fill=MEAN_COLOR)


def horizontal_flip(*, p: Probability = 0.5) -> v2.Transform:
    """Flip left to right at random.

    Args:
        p: Probability.
    """
    return v2.RandomHorizontalFlip(_checked_probability("horizontal_flip", p))


def vertical_flip(*, p: Probability = 0.5) -> v2.Transform:
    """Flip top to bottom at random.

    Args:
        p: Probability.
    """
    return v2.RandomVerticalFlip(_checked_probability("vertical_flip", p))


def rotation(*, degrees: float = 10.0) -> v2.Transform:
    """Rotate about the centre; the outside is filled with the mean colour and void.

    Args:
        degrees: The largest angle in either direction.
    """
    if degrees < 0:
        raise DataError(f"rotation: degrees is {degrees}; expected 0 or more")
    return _Rotation([-degrees, degrees], fill=MEAN_COLOR)


def elastic(*, alpha: float = 50.0, sigma: float = 5.0) -> v2.Transform:
    """Deform smoothly at random; the outside is filled with the mean colour and void.

    Args:
        alpha: Strength of the displacement; before smoothing it is up to alpha / 2 pixels.
        sigma: Smoothness of the displacement in pixels.
    """
    if alpha < 0 or sigma <= 0:
        raise DataError(f"elastic: alpha {alpha} and sigma {sigma}: expected alpha >= 0 and sigma > 0")
    return _Elastic(alpha, sigma, fill=MEAN_COLOR)


def color_jitter(
    *, brightness: float = 0.2, contrast: float = 0.2, saturation: float = 0.2, hue: float = 0.0
) -> v2.Transform:
    """Change the colours of 8-bit RGB images at random, each by a factor of 1 plus or minus its strength.

    Args:
        brightness: Strength of the change of brightness.
        contrast: Strength of the change of contrast.
        saturation: Strength of the change of saturation.
        hue: Largest shift of the hue, as a fraction of the colour circle, up to 0.5.
    """
    if min(brightness, contrast, saturation, hue) < 0 or hue > 0.5:
        raise DataError("color_jitter: expected strengths of 0 or more, and a hue of at most 0.5")
    return _ColorJitter(brightness=brightness, contrast=contrast, saturation=saturation, hue=hue)


def gaussian_blur(*, kernel_size: int = 5, sigma: list[float] = [0.1, 2.0], p: Probability = 0.5) -> v2.Transform:  # noqa: B006
    """Blur the image at random.

    Args:
        kernel_size: Width of the kernel in pixels, odd.
        sigma: Smallest and largest standard deviation in pixels.
        p: Probability.
    """
    if kernel_size < 1 or kernel_size % 2 == 0:
        raise DataError(f"gaussian_blur: kernel_size is {kernel_size}; expected an odd number of pixels")
    if len(sigma) != 2 or not 0 < sigma[0] <= sigma[1]:
        raise DataError(f"gaussian_blur: sigma is {sigma}; expected [smallest, largest], above 0")
    return _Blur(kernel_size, sigma, _checked_probability("gaussian_blur", p))


class _Resize(v2.Transform):  # type: ignore[misc]
    """Bilinear for images; for labels the pixel with the nearest centre, so that both stay aligned."""

    def __init__(self, size: Sequence[int]) -> None:
        super().__init__()
        self.size = list(size)

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:  # noqa: ARG002 - torchvision's signature
        return {"size": self.size}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        size = params["size"]
        if list(inpt.shape[-2:]) == size:
            return inpt
        if isinstance(inpt, tv_tensors.Mask):
            return tv_tensors.Mask(_nearest(inpt.as_subclass(torch.Tensor), size))
        return F.resize(inpt, size, interpolation=InterpolationMode.BILINEAR, antialias=True)


class _Scale(_Resize):
    def __init__(self, factor: float) -> None:
        super().__init__(())
        self.factor = factor

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        return {"size": [max(1, round(side * self.factor)) for side in flat_inputs[0].shape[-2:]]}


class _RandomScale(_Resize):
    def __init__(self, minimum: float, maximum: float) -> None:
        super().__init__(())
        self.minimum, self.maximum = minimum, maximum

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        factor = self.minimum + (self.maximum - self.minimum) * torch.rand(()).item()
        return {"size": [max(1, round(side * factor)) for side in flat_inputs[0].shape[-2:]]}


class _RandomCrop(v2.Transform):  # type: ignore[misc]
    def __init__(self, size: Sequence[int], *, pad: bool, fill: Sequence[float]) -> None:
        super().__init__()
        self.size, self.pad, self.fill = tuple(size), pad, list(fill)

    def adapt_to(self, images: ImageFormat, fill: Sequence[float]) -> _RandomCrop:  # noqa: ARG002
        return _RandomCrop(self.size, pad=self.pad, fill=fill)

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        given = flat_inputs[0].shape[-2:]
        lack = [max(wanted - side, 0) for wanted, side in zip(self.size, given, strict=True)]
        if any(lack) and not self.pad:
            (height, width), (tall, wide) = self.size, given
            raise DataError(
                f"random_crop of {height}x{width} pixels is larger than the image, {tall}x{wide} (height x width); "
                "crop less, set pad: true, or resize before"
            )
        before = [_draw(side + 1) for side in lack]
        spare = [max(side - wanted, 0) for wanted, side in zip(self.size, given, strict=True)]
        top, left = (_draw(side + 1) for side in spare)
        padding = [before[1], before[0], lack[1] - before[1], lack[0] - before[0]]
        return {"top": top, "left": left, "padding": padding if any(lack) else None}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        if params["padding"]:
            fill = IGNORE_INDEX if isinstance(inpt, tv_tensors.Mask) else self.fill
            inpt = F.pad(inpt, params["padding"], fill=fill)
        return F.crop(inpt, params["top"], params["left"], *self.size)


class _Rotation(v2.RandomRotation):  # type: ignore[misc]
    def __init__(self, degrees: Sequence[float], *, fill: Sequence[float]) -> None:
        super().__init__(degrees, interpolation=InterpolationMode.BILINEAR, fill=_fills(fill))

    def adapt_to(self, images: ImageFormat, fill: Sequence[float]) -> _Rotation:  # noqa: ARG002
        return _Rotation(self.degrees, fill=fill)


class _ColorJitter(v2.ColorJitter):  # type: ignore[misc]
    def adapt_to(self, images: ImageFormat, fill: Sequence[float]) -> _ColorJitter:  # noqa: ARG002
        if not images.is_rgb8:
            raise DataError(
                f"color_jitter: changes the colours of three 8-bit channels, but the images have {images}; leave it out"
            )
        return self


class _Elastic(v2.ElasticTransform):  # type: ignore[misc]
    """Like torchvision's, but with a separable blur of the displacement: 16 times faster at sigma 4."""

    def __init__(self, alpha: float, sigma: float, *, fill: Sequence[float]) -> None:
        super().__init__(alpha=alpha, sigma=sigma, fill=_fills(fill))

    def adapt_to(self, images: ImageFormat, fill: Sequence[float]) -> _Elastic:  # noqa: ARG002
        return _Elastic(self.alpha[0], self.sigma[0], fill=fill)

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        height, width = flat_inputs[0].shape[-2:]
        reach = (int(8 * self.sigma[0]) + 1) // 2
        _check_kernel("elastic", reach, flat_inputs[0])
        across, down = (self._field(height, width, 2 * reach + 1) for _ in range(2))
        scaled = [across * self.alpha[0] / width, down * self.alpha[1] / height]
        return {"displacement": torch.cat(scaled, dim=1).permute(0, 2, 3, 1)}

    def _field(self, height: int, width: int, kernel_size: int) -> torch.Tensor:
        """Return (1, 1, H, W) noise in [-1, 1], smoothed."""
        field: torch.Tensor = torch.rand(1, 1, height, width) * 2 - 1
        for kernel in ([kernel_size, 1], [1, kernel_size]):
            field = F.gaussian_blur(field, kernel, list(self.sigma))
        return field


class _Blur(v2.GaussianBlur):  # type: ignore[misc]
    def __init__(self, kernel_size: int, sigma: list[float], p: float) -> None:
        super().__init__(kernel_size, sigma)
        self.p = p

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        _check_kernel("gaussian_blur", self.kernel_size[0] // 2, flat_inputs[0])
        skipped = bool(torch.rand(()) >= self.p)
        return {"skipped": skipped, **super().make_params(flat_inputs)}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return inpt if params["skipped"] else super().transform(inpt, {"sigma": params["sigma"]})


def _fills(color: Sequence[float]) -> dict[Any, Any]:
    """Return the fill values in torchvision's format."""
    return {tv_tensors.Image: list(color), tv_tensors.Mask: IGNORE_INDEX, "others": 0}


def _nearest(label: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Sample an (H, W) label at the pixels with the nearest centres."""
    rows, columns = (
        (torch.arange(target) * 2 + 1).mul_(source).div_(2 * target, rounding_mode="floor")
        for target, source in zip(size, label.shape, strict=True)
    )
    # gather is five times as fast as index_select here
    return label.gather(1, columns.expand(len(label), -1)).index_select(0, rows)


def _draw(bound: int) -> int:
    return int(torch.randint(bound, ()).item())


def _checked_size(step: str, size: Sequence[int]) -> Sequence[int]:
    if len(size) != 2 or min(size) < 1:
        raise DataError(f"{step}: size is {size}; expected [height, width] in pixels")
    return size


def _checked_probability(step: str, p: float) -> float:
    if not 0 <= p <= 1:
        raise DataError(f"{step}: p is {p}; expected a probability from 0 to 1")
    return p


def _check_kernel(step: str, reach: int, image: Any) -> None:
    height, width = image.shape[-2:]
    if reach >= min(height, width):
        raise DataError(
            f"{step} reaches {reach} pixels to each side, too far for an image of {height}x{width} (height x width); "
            "make its kernel or sigma smaller"
        )
