"""Fully convolutional DenseNets: dense blocks in a U-shaped network.

S. Jégou, M. Drozdzal, D. Vazquez, A. Romero, Y. Bengio, "The One Hundred Layers Tiramisu: Fully Convolutional
DenseNets for Semantic Segmentation", CVPR Workshops 2017, arXiv:1611.09326, figure 1 and table 2.

Deviation from the authors' code: evaluation uses running statistics, where theirs uses those of the batch.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from segbench.errors import UsageError
from segbench.models.base import InputConstraint, SegmentationNetwork
from segbench.models.blocks import activation_layer, centre_crop, norm_layer, scaled
from segbench.models.networks.options import NetworkOptions
from segbench.option_kinds import PositiveFloat

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

    def __init__(self, classes: int, channels: int, options: FCDenseNetOptions) -> None:
        super().__init__()
        first_channels, growth = scaled(options.first_channels, options.width), scaled(options.growth, options.width)
        down_layers, bottleneck_layers = options.down_layers, options.bottleneck_layers
        up_layers = options.up_layers or tuple(reversed(down_layers))
        style = Style(**options.style, dropout=options.dropout)
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


@dataclass(frozen=True, kw_only=True)
class FCDenseNetOptions(NetworkOptions):
    """Fully convolutional DenseNet of any shape; 103 layers by default (Jégou et al. 2017)."""

    width: PositiveFloat = 1.0
    """Scales growth and first channels; 1.0 is the paper."""
    norm: Literal["none", "batch", "group"] | None = None
    """Normalisation before every convolution of blocks and transitions; null is the paper's batch."""
    growth: int = 16
    """New channels of every layer."""
    down_layers: tuple[int, ...] = (4, 5, 7, 10, 12)
    """Layers of each dense block on the way down; a pooling follows each."""
    bottleneck_layers: int = 15
    """Layers of the dense block at the bottom."""
    up_layers: tuple[int, ...] | None = None
    """Layers of each dense block on the way up, as many blocks; null mirrors the way down."""
    first_channels: int = 48
    """Channels of the first convolution."""
    dropout: float = 0.2
    """Rate of the dropout of elements after every layer and transition down."""

    def build(self, classes: int, channels: int = 3) -> FCDenseNet:
        """Return the network.

        Raises:
            UsageError: The layer lists are empty, differ in length or hold a number below 1.
        """
        down, bottleneck = self.down_layers, self.bottleneck_layers
        up = tuple(reversed(down)) if self.up_layers is None else self.up_layers
        if not down or len(up) != len(down) or min(*down, *up, bottleneck) < 1:
            raise UsageError(
                "fc_densenet: down_layers and up_layers need equally many numbers, each at least 1 like "
                f"bottleneck_layers; they are {list(down)}, {list(up)} and {bottleneck}"
            )
        return FCDenseNet(classes, channels, self)


@dataclass(frozen=True, kw_only=True)
class FCDenseNet103Options(NetworkOptions):
    """FC-DenseNet103: 4 to 15 layers a block, growth 16 (Jégou et al. 2017)."""

    width: PositiveFloat = 1.0
    """Scales growth and first channels; 1.0 is the paper."""
    norm: Literal["none", "batch", "group"] | None = None
    """Normalisation before every convolution of blocks and transitions; null is the paper's batch."""
    dropout: float = 0.2
    """Rate of the dropout of elements after every layer and transition down."""

    def build(self, classes: int, channels: int = 3) -> FCDenseNet:
        """Return the network."""
        return self._shaped().build(classes, channels)

    def _shaped(self, **shape: Any) -> FCDenseNetOptions:
        return FCDenseNetOptions(**asdict(self), **shape)


@dataclass(frozen=True, kw_only=True)
class FCDenseNet67Options(FCDenseNet103Options):
    """FC-DenseNet67: five layers a block, growth 16 (Jégou et al. 2017)."""

    def build(self, classes: int, channels: int = 3) -> FCDenseNet:
        """Return the network."""
        return self._shaped(down_layers=(5,) * 5, bottleneck_layers=5).build(classes, channels)


@dataclass(frozen=True, kw_only=True)
class FCDenseNet56Options(FCDenseNet103Options):
    """FC-DenseNet56: four layers a block, growth 12 (Jégou et al. 2017)."""

    def build(self, classes: int, channels: int = 3) -> FCDenseNet:
        """Return the network."""
        return self._shaped(growth=12, down_layers=(4,) * 5, bottleneck_layers=4).build(classes, channels)


def _init_he_uniform(network: nn.Module) -> None:
    """Initialise all convolutions as He et al. (2015, arXiv:1502.01852), fan-in, uniform; biases zero."""
    for part in network.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_uniform_(part.weight, nonlinearity="relu")
            if part.bias is not None:
                nn.init.zeros_(part.bias)
