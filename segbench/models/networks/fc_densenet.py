"""Fully convolutional DenseNets: dense blocks in a U-shaped network.

S. Jégou, M. Drozdzal, D. Vazquez, A. Romero, Y. Bengio, "The One Hundred Layers Tiramisu: Fully Convolutional
DenseNets for Semantic Segmentation", CVPR Workshops 2017, arXiv:1611.09326, figure 1 and table 2.

Deviation from the authors' code: evaluation uses running statistics, where theirs uses those of the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from segbench.errors import UsageError
from segbench.models.base import InputConstraint, SegmentationNetwork
from segbench.models.blocks import activation_layer, centre_crop, norm_layer, scaled

CITATION = (
    'S. Jégou, M. Drozdzal, D. Vazquez, A. Romero, Y. Bengio, "The One Hundred Layers Tiramisu: Fully Convolutional '
    'DenseNets for Semantic Segmentation", CVPR Workshops 2017, arXiv:1611.09326'
)


@dataclass(frozen=True)
class Style:
    """What every layer has: normalisation, activation, dropout rate."""

    norm: str
    activation: str
    dropout: float

    def layer(self, inputs: int, outputs: int, kernel: int) -> nn.Sequential:
        """Return normalisation, activation, a padded convolution and dropout of single elements."""
        return nn.Sequential(
            norm_layer(self.norm, inputs),
            activation_layer(self.activation),
            nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2),
            nn.Dropout(self.dropout),
        )


class DenseBlock(nn.Module):
    """Layers of ``growth`` new channels each; every layer sees the block's input and all layers before it."""

    def __init__(self, inputs: int, growth: int, *, layers: int, style: Style) -> None:
        super().__init__()
        self.layers = nn.ModuleList(style.layer(inputs + index * growth, growth, 3) for index in range(layers))

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to the new features alone, (N, growth * layers, H, W)."""
        new: list[Tensor] = []
        for layer in self.layers:
            new.append(layer(torch.cat((features, *new), dim=1)))
        return torch.cat(new, dim=1)


class TransitionDown(nn.Sequential):
    """Halves height and width, rounded down: normalisation, activation, 1x1 convolution, dropout, 2x2 pooling."""

    def __init__(self, channels: int, style: Style) -> None:
        super().__init__(style.layer(channels, channels, 1), nn.MaxPool2d(2))


class TransitionUp(nn.Module):
    """Doubles height and width by a 3x3 stride-2 transposed convolution, cut to the skip, and joins the skip."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.deconvolution = nn.ConvTranspose2d(channels, channels, 3, stride=2)

    def forward(self, features: Tensor, skip: Tensor) -> Tensor:
        """Map (N, C, h, w) and an (N, S, H, W) skip with H in {2h, 2h + 1} to (N, C + S, H, W)."""
        features = centre_crop(self.deconvolution(features), *skip.shape[-2:])
        return torch.cat((features, skip), dim=1)


class FCDenseNet(SegmentationNetwork):
    """Dense blocks and transitions down, a dense bottleneck, transitions up and dense blocks.

    On the way down a block's output joins its input; on the way up only the new features go on, except in the last
    block, whose whole stack is classified.
    """

    citation = CITATION

    def __init__(
        self,
        classes: int,
        channels: int,
        *,
        first_channels: int,
        growth: int,
        down_layers: Sequence[int],
        bottleneck_layers: int,
        up_layers: Sequence[int],
        style: Style,
    ) -> None:
        super().__init__()
        poolings = len(down_layers)
        self.input_constraint = InputConstraint(2**poolings, reason=f"{poolings} poolings by 2")
        self.first = nn.Conv2d(channels, first_channels, 3, padding=1)
        stack, skips = first_channels, []
        self.down_blocks, self.transitions_down = nn.ModuleList(), nn.ModuleList()
        for layers in down_layers:
            self.down_blocks.append(DenseBlock(stack, growth, layers=layers, style=style))
            stack += growth * layers
            skips.append(stack)
            self.transitions_down.append(TransitionDown(stack, style))
        self.bottleneck = DenseBlock(stack, growth, layers=bottleneck_layers, style=style)
        new = growth * bottleneck_layers
        self.transitions_up, self.up_blocks = nn.ModuleList(), nn.ModuleList()
        for layers, skip in zip(up_layers, reversed(skips), strict=True):
            self.transitions_up.append(TransitionUp(new))
            stack = new + skip
            self.up_blocks.append(DenseBlock(stack, growth, layers=layers, style=style))
            new = growth * layers
        self.score = nn.Conv2d(stack + new, classes, 1)
        _init_he_uniform(self)

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, channels, H, W) images to (N, classes, H, W) logits.

        Raises:
            ModelRefusal: The images are too small for the poolings.
        """
        self.check_size(images)
        stack, skips = self.first(images), []
        for block, transition in zip(self.down_blocks, self.transitions_down, strict=True):
            stack = torch.cat((stack, block(stack)), dim=1)
            skips.append(stack)
            stack = transition(stack)
        new = self.bottleneck(stack)
        for transition, block in zip(self.transitions_up, self.up_blocks, strict=True):
            stack = transition(new, skips.pop())
            new = block(stack)
        logits: Tensor = self.score(torch.cat((stack, new), dim=1))
        return logits


def fc_densenet(  # noqa: PLR0913 - a suite's options
    classes: int,
    channels: int = 3,
    *,
    width: float = 1.0,
    norm: Literal["none", "batch", "group"] | None = None,
    activation: str = "relu",
    growth: int = 16,
    down_layers: tuple[int, ...] = (4, 5, 7, 10, 12),
    bottleneck_layers: int = 15,
    up_layers: tuple[int, ...] | None = None,
    first_channels: int = 48,
    dropout: float = 0.2,
) -> nn.Module:
    """Fully convolutional DenseNet of any shape; 103 layers by default (Jégou et al. 2017).

    Args:
        classes: Number of classes.
        channels: Channels of the images.
        width: Scales growth and first channels; 1.0 is the paper.
        norm: Normalisation before every convolution of blocks and transitions; null is the paper's batch.
        activation: Activation by timm's name.
        growth: New channels of every layer.
        down_layers: Layers of each dense block on the way down; a pooling follows each.
        bottleneck_layers: Layers of the dense block at the bottom.
        up_layers: Layers of each dense block on the way up, as many blocks; null mirrors the way down.
        first_channels: Channels of the first convolution.
        dropout: Rate of the dropout of elements after every layer and transition down.

    Raises:
        UsageError: The layer lists are empty, differ in length or hold a number below 1.
    """
    up_layers = tuple(reversed(down_layers)) if up_layers is None else up_layers
    if not down_layers or len(up_layers) != len(down_layers) or min(*down_layers, *up_layers, bottleneck_layers) < 1:
        raise UsageError(
            "fc_densenet: down_layers and up_layers need equally many numbers, each at least 1 like bottleneck_layers; "
            f"they are {list(down_layers)}, {list(up_layers)} and {bottleneck_layers}"
        )
    return FCDenseNet(
        classes,
        channels,
        first_channels=scaled(first_channels, width),
        growth=scaled(growth, width),
        down_layers=down_layers,
        bottleneck_layers=bottleneck_layers,
        up_layers=up_layers,
        style=Style(norm or "batch", activation, dropout),
    )


def fc_densenet56(
    classes: int,
    channels: int = 3,
    *,
    width: float = 1.0,
    norm: Literal["none", "batch", "group"] | None = None,
    activation: str = "relu",
    dropout: float = 0.2,
) -> nn.Module:
    """FC-DenseNet56: four layers a block, growth 12 (Jégou et al. 2017).

    Args:
        classes: Number of classes.
        channels: Channels of the images.
        width: Scales growth and first channels; 1.0 is the paper.
        norm: Normalisation before every convolution of blocks and transitions; null is the paper's batch.
        activation: Activation by timm's name.
        dropout: Rate of the dropout of elements after every layer and transition down.
    """
    return fc_densenet(
        classes,
        channels,
        width=width,
        norm=norm,
        activation=activation,
        growth=12,
        down_layers=(4,) * 5,
        bottleneck_layers=4,
        dropout=dropout,
    )


def fc_densenet67(
    classes: int,
    channels: int = 3,
    *,
    width: float = 1.0,
    norm: Literal["none", "batch", "group"] | None = None,
    activation: str = "relu",
    dropout: float = 0.2,
) -> nn.Module:
    """FC-DenseNet67: five layers a block, growth 16 (Jégou et al. 2017).

    Args:
        classes: Number of classes.
        channels: Channels of the images.
        width: Scales growth and first channels; 1.0 is the paper.
        norm: Normalisation before every convolution of blocks and transitions; null is the paper's batch.
        activation: Activation by timm's name.
        dropout: Rate of the dropout of elements after every layer and transition down.
    """
    return fc_densenet(
        classes,
        channels,
        width=width,
        norm=norm,
        activation=activation,
        growth=16,
        down_layers=(5,) * 5,
        bottleneck_layers=5,
        dropout=dropout,
    )


def fc_densenet103(
    classes: int,
    channels: int = 3,
    *,
    width: float = 1.0,
    norm: Literal["none", "batch", "group"] | None = None,
    activation: str = "relu",
    dropout: float = 0.2,
) -> nn.Module:
    """FC-DenseNet103: 4 to 15 layers a block, growth 16 (Jégou et al. 2017).

    Args:
        classes: Number of classes.
        channels: Channels of the images.
        width: Scales growth and first channels; 1.0 is the paper.
        norm: Normalisation before every convolution of blocks and transitions; null is the paper's batch.
        activation: Activation by timm's name.
        dropout: Rate of the dropout of elements after every layer and transition down.
    """
    return fc_densenet(classes, channels, width=width, norm=norm, activation=activation, dropout=dropout)


def _init_he_uniform(network: nn.Module) -> None:
    """Initialise all convolutions as He et al. (2015, arXiv:1502.01852), fan-in, uniform; biases zero."""
    for part in network.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_uniform_(part.weight, nonlinearity="relu")
            if part.bias is not None:
                nn.init.zeros_(part.bias)
