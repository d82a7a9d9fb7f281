"""Building blocks shared by networks: scaled channels, normalisation, activation, bilinear kernels, unpooling."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from segbench.errors import UsageError


def scaled(channels: int, width: float) -> int:
    """Return a paper's channel count times a width factor, at least 1; width 1.0 is the paper."""
    if width <= 0:
        raise UsageError(f"width {width:g}: expected a factor above 0; 1.0 is the paper's network")
    return max(1, round(channels * width))


def activation_layer(name: str) -> nn.Module:
    """Return an activation by timm's name: relu, sigmoid, tanh, gelu, silu, ….

    None works in place: before a convolution and after no norm, it would overwrite features that a skip still needs.

    Raises:
        UsageError: timm knows no such activation.
    """
    if name == "relu":
        return nn.ReLU()
    from timm.layers.create_act import create_act_layer

    layer: nn.Module | None
    try:
        layer = create_act_layer(name)
    except (KeyError, AssertionError, RuntimeError):
        layer = None
    if layer is None:
        raise UsageError(f"activation {name!r} is not one of timm's (relu, sigmoid, tanh, gelu, silu, …)")
    return layer


def norm_layer(kind: str, channels: int) -> nn.Module:
    """Return a normalisation of (N, C, H, W) features.

    Args:
        kind: ``none``, ``batch`` or ``group``: up to 32 groups, a power of two, each of at least 2 channels; one group
            when the channels are odd. A group of one channel would be a single value in a map of one pixel, which
            PyTorch refuses.
        channels: The features' channels.
    """
    if kind == "none":
        return nn.Identity()
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    if kind == "group":
        return nn.GroupNorm(math.gcd(32, channels, channels // 2), channels)
    raise ValueError(f"norm {kind!r} is none of none, batch, group")


def bilinear_kernel(kernel_size: int) -> Tensor:
    """Return the (K, K) kernel whose stride-ceil(K/2) transposed convolution interpolates bilinearly."""
    factor = (kernel_size + 1) // 2
    centre = factor - 1 if kernel_size % 2 else factor - 0.5
    ramp = 1 - (torch.arange(kernel_size, dtype=torch.float64) - centre).abs() / factor
    return torch.outer(ramp, ramp).float()


TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def init_he(module: nn.Module) -> None:
    """Initialise convolutions as He et al. (2015, arXiv:1502.01852), fan-in, normal; biases zero."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
            he_normal(part)


def he_normal(layer: nn.Module) -> None:
    """Draw a layer's weights as He et al. (2015, arXiv:1502.01852): normal, variance 2 / fan-in; its biases zero."""
    draw_normal(layer, math.sqrt(2 / fan_in(layer)))


def draw_normal(layer: nn.Module, std: float) -> None:
    """Draw a layer's weights from a normal distribution around 0; its biases are zero."""
    nn.init.normal_(layer.get_parameter("weight"), std=std)
    if isinstance(layer.bias, Tensor):
        nn.init.zeros_(layer.bias)


def fan_in(layer: nn.Module) -> int:
    """Return the fan-in of a convolution or fully connected layer.

    An output of a transposed convolution sums kernel / stride taps of each input channel. PyTorch's own fan-in confuses
    output and input channels there.
    """
    if not isinstance(layer, TRANSPOSED):
        return math.prod(layer.get_parameter("weight").shape[1:])
    taps = layer.in_channels // layer.groups * math.prod(layer.kernel_size)
    return max(1, taps // math.prod(layer.stride))


class Switches(NamedTuple):
    """Pooling indices of a 2x2 max pool: flat indices (N, C, h, w), and the size (H, W) before pooling."""

    indices: Tensor
    size: tuple[int, int]


def pool_with_switches(features: Tensor) -> tuple[Tensor, Switches]:
    """Max-pool (N, C, H, W) features by 2x2 in ceil mode; return the maxima and their switches."""
    pooled, indices = functional.max_pool2d(features, 2, ceil_mode=True, return_indices=True)
    return pooled, Switches(indices, (features.shape[-2], features.shape[-1]))


def unpool(features: Tensor, switches: Switches) -> Tensor:
    """Unpool (N, C, h, w) features to (N, C, H, W): values at the places of the maxima, zeros elsewhere.

    Uses a scatter, because ``max_unpool2d`` has no deterministic algorithm; 2x2 windows do not overlap, so each place
    is written once. Channels-last features are scattered in their memory order, which avoids copies before the next
    convolution.
    """
    batch, channels = features.shape[:2]
    height, width = switches.size
    if is_channels_last(features):
        places, values = (map_.permute(0, 2, 3, 1).flatten(1, 2) for map_ in (switches.indices, features))
        full = features.new_zeros(batch, height * width, channels).scatter(1, places, values)
        return full.view(batch, height, width, channels).permute(0, 3, 1, 2)
    full = features.new_zeros(batch, channels, height * width).scatter(
        2, switches.indices.flatten(2), features.flatten(2)
    )
    return full.view(batch, channels, height, width)


def is_channels_last(features: Tensor) -> bool:
    """Return whether (N, C, H, W) features are channels-last and not contiguous in both layouts."""
    return features.is_contiguous(memory_format=torch.channels_last) and not features.is_contiguous()


def fit(features: Tensor, height: int, width: int) -> Tensor:
    """Crop (N, C, H, W) features, or pad them with zeros, at the bottom and the right to a size."""
    return functional.pad(features, (0, width - features.shape[-1], 0, height - features.shape[-2]))


def centre_crop(features: Tensor, height: int, width: int) -> Tensor:
    """Cut the middle (height, width) out of (N, C, H, W) features; an odd surplus is cut at the bottom and right."""
    top, left = (features.shape[-2] - height) // 2, (features.shape[-1] - width) // 2
    return features[..., top : top + height, left : left + width]


def resize(features: Tensor, height: int, width: int) -> Tensor:
    """Interpolate (N, C, H, W) features bilinearly to a size, pixel centres as in a bilinear deconvolution."""
    return functional.interpolate(features, (height, width), mode="bilinear", align_corners=False)
