"""The VGG-16 trunk: its layers, shared by the networks that stand on it.

K. Simonyan, A. Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015,
arXiv:1409.1556, configuration D.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from segbench.models.blocks import activation_layer, norm_layer, scaled

VGG16_STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""Output channels of the 13 convolutions, stage by stage; a 2x2 pool follows every stage."""

FULLY_CONNECTED = 4096
"""Channels of fc6 and fc7."""


class ConvUnit(nn.Sequential):
    """A convolution, plain or transposed, then normalisation, then activation; the convolution keeps its bias."""

    def __init__(self, convolution: nn.Conv2d | nn.ConvTranspose2d, *, norm: str, activation: str) -> None:
        super().__init__()
        self.convolution = convolution
        self.norm = norm_layer(norm, convolution.out_channels)
        self.activation = activation_layer(activation)


@dataclass(frozen=True)
class LoadedLayers:
    """Which layers of a network on the trunk took VGG-16's weights.

    Attributes:
        source: Where the weights come from: a file's name, or timm's network in words.
        parts: The layers that took them: ``convolutions``, ``batch norms``, ``fc6``, ``fc7``.
        initialised: The parts that the source has no weights for, which start as without pretraining.
    """

    source: str
    parts: Mapping[str, Sequence[nn.Module]]
    initialised: tuple[str, ...]


class VGG16Trunk(nn.ModuleList):
    """The 13 convolutions as five ``nn.Sequential`` of ``ConvUnit``, without the pools between them.

    Attributes:
        loaded: What ``load_vgg16`` loaded into it and the network's fc6 and fc7; None without pretraining.
    """

    loaded: LoadedLayers | None = None

    @property
    def timm_name(self) -> str:
        """Name in timm of the network whose weights the trunk takes: ``vgg16_bn`` for batch norm, else ``vgg16``."""
        return "vgg16_bn" if isinstance(conv_units(self)[0].norm, nn.BatchNorm2d) else "vgg16"


def conv_unit(
    inputs: int, outputs: int, *, norm: str, activation: str, kernel: int = 3, padding: int = 1, dilation: int = 1
) -> ConvUnit:
    """Return a stride-1 convolution with normalisation and activation by name."""
    convolution = nn.Conv2d(inputs, outputs, kernel, padding=padding, dilation=dilation)
    return ConvUnit(convolution, norm=norm, activation=activation)


def deconv_unit(
    inputs: int, outputs: int, *, norm: str, activation: str, kernel: int = 3, padding: int = 1
) -> ConvUnit:
    """Return a stride-1 transposed convolution with normalisation and activation by name."""
    convolution = nn.ConvTranspose2d(inputs, outputs, kernel, padding=padding)
    return ConvUnit(convolution, norm=norm, activation=activation)


def vgg16_stages(
    channels: int,
    *,
    width: float,
    norm: str,
    activation: str,
    first_padding: int = 1,
    dilations: Sequence[int] = (1, 1, 1, 1, 1),
) -> VGG16Trunk:
    """Return VGG-16's convolutions with normalisation and activation by name.

    Args:
        channels: Channels of the image.
        width: Scales every channel count; 1.0 is the paper.
        norm: Normalisation after every convolution: ``none``, ``batch`` or ``group``.
        activation: Activation by timm's name.
        first_padding: Padding of conv1_1; FCN's release has 100.
        dilations: Dilation, and padding, of each stage's convolutions.
    """
    stages, padding = VGG16Trunk(), first_padding
    for table, dilation in zip(VGG16_STAGES, dilations, strict=True):
        stage = nn.Sequential()
        for outputs in (scaled(count, width) for count in table):
            padding = padding if not stages and not stage else dilation
            stage.append(
                conv_unit(channels, outputs, norm=norm, activation=activation, padding=padding, dilation=dilation)
            )
            channels = outputs
        stages.append(stage)
    return stages


def mirrored_stages(
    inputs: int, table: Sequence[Sequence[int]], *, width: float, unit: Callable[[int, int], nn.Module]
) -> nn.ModuleList:
    """Return a decoder's stages, one ``nn.Sequential`` of units for each row of a table of output channels.

    Args:
        inputs: Channels of what the first stage gets, already scaled.
        table: Output channels, stage by stage, before scaling.
        width: Scales every channel count.
        unit: Makes one unit from its input and output channels.
    """
    stages = nn.ModuleList()
    for row in table:
        stage = nn.Sequential()
        for outputs in (scaled(count, width) for count in row):
            stage.append(unit(inputs, outputs))
            inputs = outputs
        stages.append(stage)
    return stages


def conv_units(stages: nn.ModuleList) -> list[ConvUnit]:
    """Return the units of ``vgg16_stages`` in order, 13 of them."""
    return [unit for unit in stages.modules() if isinstance(unit, ConvUnit)]
