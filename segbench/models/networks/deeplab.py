"""DeepLab: the first network of the line, with a large field of view on VGG-16, and the last, v3+ on any encoder.

L.-C. Chen, G. Papandreou, I. Kokkinos, K. Murphy, A. Yuille, "Semantic Image Segmentation with Deep Convolutional
Nets and Fully Connected CRFs", ICLR 2015, arXiv:1412.7062, section 4.1 (LargeFOV, without the CRF).
L.-C. Chen, Y. Zhu, G. Papandreou, F. Schroff, H. Adam, "Encoder-Decoder with Atrous Separable Convolution for Semantic
Image Segmentation", ECCV 2018, arXiv:1802.02611, figure 2 (v3+).

Deviations of v3+ from the paper: all convolutions are plain, where the paper's best model has separable ones; the
encoder is a network of timm with the strides of its last stages replaced by dilation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from segbench.models.base import SegmentationNetwork
from segbench.models.blocks import activation_layer, init_he, norm_layer, resize, scaled
from segbench.models.networks.options import NetworkOptions
from segbench.models.networks.timm_encoders import timm_encoder
from segbench.models.networks.vgg import conv_unit, vgg16_stages
from segbench.models.networks.vgg_weights import load_vgg16
from segbench.option_kinds import PositiveFloat

LARGEFOV_CITATION = (
    'L.-C. Chen, G. Papandreou, I. Kokkinos, K. Murphy, A. Yuille, "Semantic Image Segmentation with Deep '
    'Convolutional Nets and Fully Connected CRFs", ICLR 2015, arXiv:1412.7062'
)
V3PLUS_CITATION = (
    'L.-C. Chen, Y. Zhu, G. Papandreou, F. Schroff, H. Adam, "Encoder-Decoder with Atrous Separable Convolution for '
    'Semantic Image Segmentation", ECCV 2018, arXiv:1802.02611'
)

LARGEFOV_STRIDES = (2, 2, 2, 1, 1)
"""Strides of the five 3x3 poolings."""

ATROUS_RATES = {16: (6, 12, 18), 8: (12, 24, 36)}
"""Dilations of the pyramid's 3x3 convolutions, by output stride (arXiv:1706.05587, section 3.3)."""


class DeepLabLargeFOV(SegmentationNetwork):
    """VGG-16 at stride 8: 3x3 poolings, the last two of stride 1; dilated conv5 and fc6."""

    citation = LARGEFOV_CITATION

    def __init__(self, classes: int, channels: int, options: DeepLabLargeFOVOptions) -> None:
        super().__init__()
        width, dropout = options.width, options.dropout
        unit = partial(conv_unit, **options.style)
        self.stages = vgg16_stages(channels, width=width, **options.style, dilations=(1, 1, 1, 1, 2))
        self.pools = nn.ModuleList(nn.MaxPool2d(3, stride, padding=1) for stride in LARGEFOV_STRIDES)
        self.average = nn.AvgPool2d(3, stride=1, padding=1)
        inner = scaled(1024, width)
        self.head = nn.Sequential(
            unit(scaled(512, width), inner, padding=12, dilation=12),
            nn.Dropout(dropout),
            unit(inner, inner, kernel=1, padding=0),
            nn.Dropout(dropout),
        )
        self.score = nn.Conv2d(inner, classes, 1)
        init_he(self)
        nn.init.normal_(self.score.weight, std=0.01)
        load_vgg16(options.pretrained, self.stages)

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, channels, H, W) images to (N, classes, H, W) logits."""
        features = images
        for stage, pool in zip(self.stages, self.pools, strict=True):
            features = pool(stage(features))
        logits = self.score(self.head(self.average(features)))
        return upsample_from_corner(logits, 8)[..., : images.shape[-2], : images.shape[-1]]


class PooledNorm(nn.Module):
    """Normalisation of (N, C, 1, 1) features that also works for a batch of one.

    Batch norm over a single value has no spread to divide by; PyTorch refuses it. A batch of one is therefore
    normalised by the running statistics, in training as in evaluation. Group norm takes all channels as one group,
    because a group of two channels would leave only which of its two values is the larger.
    """

    def __init__(self, kind: str, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, channels) if kind == "group" else norm_layer(kind, channels)

    def forward(self, features: Tensor) -> Tensor:
        """Normalise (N, C, 1, 1) features."""
        norm = self.norm
        if isinstance(norm, nn.BatchNorm2d) and features.shape[0] == 1:
            return functional.batch_norm(
                features, norm.running_mean, norm.running_var, norm.weight, norm.bias, training=False, eps=norm.eps
            )
        normalised: Tensor = norm(features)
        return normalised


class AtrousPyramid(nn.Module):
    """Atrous spatial pyramid pooling: a 1x1, three dilated 3x3 and the image's mean, concatenated and mixed."""

    def __init__(
        self, inputs: int, outputs: int, rates: tuple[int, int, int], *, norm: str, activation: str, dropout: float
    ) -> None:
        super().__init__()
        unit = partial(convolution, norm=norm, activation=activation)
        self.branches = nn.ModuleList(
            [unit(inputs, outputs, 1), *(unit(inputs, outputs, 3, dilation=rate) for rate in rates)]
        )
        self.pooled = unit(inputs, outputs, 1)
        self.pooled[1] = PooledNorm(norm, outputs)
        self.project = unit(5 * outputs, outputs, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H, W)."""
        image = self.pooled(features.mean(dim=(2, 3), keepdim=True)).expand(-1, -1, *features.shape[-2:])
        mixed = self.project(torch.cat([*(branch(features) for branch in self.branches), image], dim=1))
        result: Tensor = self.dropout(mixed)
        return result


class DeepLabV3Plus(SegmentationNetwork):
    """A dilated encoder, the atrous pyramid, and a decoder with 48 channels of the features at stride 4."""

    citation = V3PLUS_CITATION

    def __init__(self, classes: int, channels: int, options: DeepLabV3PlusOptions) -> None:
        super().__init__()
        stride = options.output_stride
        encoder = timm_encoder(options.encoder, channels=channels, pretrained=options.pretrained, output_stride=stride)
        unit = partial(convolution, **options.style)
        inner, low = scaled(256, options.width), scaled(48, options.width)
        self.low_level = encoder.at_stride(4)
        rates = options.atrous_rates or ATROUS_RATES[stride]
        self.pyramid = AtrousPyramid(encoder.channels[-1], inner, rates, **options.style, dropout=options.dropout)
        self.reduce = unit(encoder.channels[self.low_level], low, 1)
        self.refine = nn.Sequential(unit(inner + low, inner, 3), unit(inner, inner, 3))
        self.score = nn.Conv2d(inner, classes, 1)
        init_he(self)
        self.encoder = encoder  # after the initialisation, which is the decoder's

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, channels, H, W) images to (N, classes, H, W) logits."""
        maps = self.encoder(images)
        low = self.reduce(maps[self.low_level])
        features = resize(self.pyramid(maps[-1]), *low.shape[-2:])
        logits = self.score(self.refine(torch.cat((features, low), dim=1)))
        return resize(logits, *images.shape[-2:])


@dataclass(frozen=True, kw_only=True)
class DeepLabLargeFOVOptions(NetworkOptions):
    """DeepLab-LargeFOV on VGG-16, without the CRF (Chen et al. 2015)."""

    norm: Literal["none", "batch", "group"] | None = None
    """Normalisation after every convolution; null is the paper's none."""
    dropout: float = 0.5
    """Rate of the dropout of elements after fc6 and fc7."""
    pretrained: bool | str = False
    """Weights of VGG-16's 13 convolutions: false, true, or the path of a file in timm's key layout."""

    paper_norm: ClassVar[str] = "none"

    def build(self, classes: int, channels: int = 3) -> DeepLabLargeFOV:
        """Return the network.

        Raises:
            UsageError: There can be no VGG-16 weights for this width and norm.
            WeightsError: The weights cannot be had or do not fit.
        """
        return DeepLabLargeFOV(classes, channels, self)


@dataclass(frozen=True, kw_only=True)
class DeepLabV3PlusOptions(NetworkOptions):
    """DeepLab v3+ with plain convolutions on a timm encoder (Chen et al. 2018)."""

    width: PositiveFloat = 1.0
    """Scales the pyramid and the decoder; the timm encoder keeps its own channels. 1.0 is the paper."""
    norm: Literal["none", "batch", "group"] | None = None
    """Normalisation in pyramid and decoder; null is the paper's batch."""
    activation: str = "relu"
    """Activation in pyramid and decoder, by timm's name."""
    encoder: str = "resnet50"
    """A timm network that can be dilated: ResNets, EfficientNets, ConvNeXts, …."""
    output_stride: Literal[8, 16] = 16
    """Stride of the encoder's last map."""
    atrous_rates: tuple[int, int, int] | None = None
    """Dilations of the pyramid's three 3x3 convolutions; null is 6, 12, 18 at stride 16 and twice that at 8."""
    dropout: float = 0.1
    """Rate of the dropout of elements after the pyramid."""
    pretrained: bool | str = False
    """Weights of the encoder: false, true, or the path of a file in timm's key layout."""

    def build(self, classes: int, channels: int = 3) -> DeepLabV3Plus:
        """Return the network.

        Raises:
            UsageError: timm has no such encoder, or not at this output stride.
            WeightsError: The weights cannot be had or do not fit.
        """
        return DeepLabV3Plus(classes, channels, self)


def convolution(
    inputs: int, outputs: int, kernel: int, *, norm: str, activation: str, dilation: int = 1
) -> nn.Sequential:
    """Return a same-size convolution, without bias beside a norm, then normalisation and activation."""
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=padding, dilation=dilation, bias=norm == "none"),
        norm_layer(norm, outputs),
        activation_layer(activation),
    )


def upsample_from_corner(features: Tensor, factor: int) -> Tensor:
    """Interpolate (N, C, H, W) bilinearly to factor * H + 1 rows, and columns likewise; value i lies at factor * i.

    For maps whose first value belongs to the first pixel, which is where 3x3 poolings padded by 1 put it. DeepLab's
    own layer ends at the last value, factor * (H - 1) + 1 rows; here that value goes on to the border, so that images
    of any size are covered.
    """
    features = torch.cat((features, features[..., -1:, :]), dim=-2)
    features = torch.cat((features, features[..., -1:]), dim=-1)
    rows, columns = (factor * (size - 1) + 1 for size in features.shape[-2:])
    return functional.interpolate(features, (rows, columns), mode="bilinear", align_corners=True)
