"""Networks without a decoder: the VGG-16 encoder with one upsampling, and the Keras tutorial CNN."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from segbench.models.base import SegmentationNetwork
from segbench.models.blocks import init_he, scaled
from segbench.models.networks.options import NetworkOptions
from segbench.models.networks.vgg import VGG16_STAGES, conv_unit, vgg16_stages
from segbench.models.networks.vgg_weights import load_vgg16
from segbench.option_kinds import PositiveFloat

KERAS_FILTERS = (64, 128, 256, 512, 1024)
"""Filters of the tutorial's five blocks."""


class PlainCNN(SegmentationNetwork):
    """VGG-16's convolutions and five pools, 1x1 scores, one bilinear upsampling by 32.

    Deviation: pools round up (timm's VGG rounds down), so that any size works and every pixel is covered; what they
    added is cut off after the upsampling. At 360x480 this costs 0.4% more.
    """

    citation = "K. Simonyan, A. Zisserman, 'Very Deep Convolutional Networks', ICLR 2015, arXiv:1409.1556 (encoder)"

    def __init__(self, classes: int, channels: int, options: PlainCNNOptions) -> None:
        super().__init__()
        self.stages = vgg16_stages(channels, width=options.width, **options.style)
        self.score = nn.Conv2d(scaled(VGG16_STAGES[-1][-1], options.width), classes, 1)
        init_he(self)
        load_vgg16(options.pretrained, self.stages)

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, channels, H, W) images to (N, classes, H, W) logits."""
        features = images
        for stage in self.stages:
            features = functional.max_pool2d(stage(features), 2, ceil_mode=True)
        logits = functional.interpolate(self.score(features), scale_factor=32, mode="bilinear", align_corners=False)
        return logits[..., : images.shape[-2], : images.shape[-1]]


class ConcatenationBlock(nn.Module):
    """A 3x3 convolution whose output is joined by its own 2x2 maxima, repeated back to full size."""

    def __init__(self, inputs: int, outputs: int, *, norm: str, activation: str) -> None:
        super().__init__()
        self.unit = conv_unit(inputs, outputs, norm=norm, activation=activation)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, 2 x outputs, H, W)."""
        fine = self.unit(features)
        pooled = functional.max_pool2d(fine, 2, ceil_mode=True)
        coarse = functional.interpolate(pooled, scale_factor=2, mode="nearest")
        return torch.cat([fine, coarse[..., : fine.shape[-2], : fine.shape[-1]]], dim=1)


class KerasCNN(SegmentationNetwork):
    """Five concatenation blocks at full resolution and a 1x1 classifier.

    Deviation: logits leave the network (the tutorial ends in a softmax), and odd sizes work because pools round up.
    """

    citation = "Plain CNN of Keras segmentation tutorials: five blocks of 64 to 1024 filters at full resolution"

    def __init__(self, classes: int, channels: int, options: KerasCNNOptions) -> None:
        super().__init__()
        filters = [scaled(count, options.width) for count in KERAS_FILTERS]
        inputs = [channels, *(2 * count for count in filters)]
        self.blocks = nn.Sequential(
            *(ConcatenationBlock(before, after // 2, **options.style) for before, after in pairwise(inputs))
        )
        self.classifier = nn.Conv2d(inputs[-1], classes, 1)
        init_he(self)

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, channels, H, W) images to (N, classes, H, W) logits."""
        logits: Tensor = self.classifier(self.blocks(images))
        return logits


@dataclass(frozen=True, kw_only=True)
class PlainCNNOptions(NetworkOptions):
    """Plain CNN: VGG-16 encoder, 1x1 scores, one bilinear upsampling; what a classifier gives without a decoder."""

    width: PositiveFloat = 1.0
    """Scales every channel count; 1.0 is VGG-16."""
    norm: Literal["none", "batch", "group"] | None = None
    """Normalisation after every convolution; VGG-16 has none."""
    pretrained: bool | str = False
    """True for timm's ImageNet weights of vgg16 (vgg16_bn with batch norm), or a file of them."""

    paper_norm: ClassVar[str] = "none"

    def build(self, classes: int, channels: int = 3) -> PlainCNN:
        """Return the network."""
        return PlainCNN(classes, channels, self)


@dataclass(frozen=True, kw_only=True)
class KerasCNNOptions(NetworkOptions):
    """Keras tutorial CNN: no spatial reduction survives a block; shows why encoders exist."""

    width: PositiveFloat = 1.0
    """Scales every channel count; 1.0 is the tutorial."""
    norm: Literal["none", "batch", "group"] | None = None
    """Normalisation after every convolution; the tutorial has none."""

    paper_norm: ClassVar[str] = "none"

    def build(self, classes: int, channels: int = 3) -> KerasCNN:
        """Return the network."""
        return KerasCNN(classes, channels, self)
