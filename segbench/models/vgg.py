"""The VGG-16 trunk: its layers, shared by the networks that stand on it, and its ImageNet weights.

K. Simonyan, A. Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015,
arXiv:1409.1556, configuration D.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from segbench.errors import UsageError, WeightsError
from segbench.models.blocks import activation_layer, norm_layer, scaled
from segbench.models.timm_encoders import WEIGHTS_FOLDER, weights_file
from segbench.models.weights import State, read_state

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


class VGG16Trunk(nn.ModuleList):
    """The 13 convolutions as five ``nn.Sequential`` of ``ConvUnit``, without the pools between them."""

    @property
    def timm_name(self) -> str:
        """Name in timm of the network whose weights the trunk takes: ``vgg16_bn`` for batch norm, else ``vgg16``."""
        return "vgg16_bn" if isinstance(conv_units(self)[0].norm, nn.BatchNorm2d) else "vgg16"


class Pretrained(NamedTuple):
    """Weights by timm's keys, and where they come from in words."""

    source: str
    state: State


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


def load_vgg16(pretrained: bool | str, stages: VGG16Trunk, head: Sequence[ConvUnit] = ()) -> None:
    """Copy VGG-16 weights of timm's key layout into a trunk, and fc6 and fc7 into its head.

    Batch-norm units take their affine and running statistics from a ``vgg16_bn`` file and stay at identity with a
    plain ``vgg16`` file. A first convolution of other than 3 input channels is adapted as timm does it. A trunk on the
    meta device has no values to copy to: options and file are checked and nothing is read.

    Args:
        pretrained: False does nothing; True takes ``$SEGBENCH_WEIGHTS/<timm name>.safetensors`` or else timm's own
            weights, ``vgg16_bn`` for a trunk with batch norm and ``vgg16`` without; a path takes that file.
        stages: What ``vgg16_stages`` returned, at width 1.0.
        head: The units fc6 (7x7) and fc7 (1x1), or nothing.

    Raises:
        UsageError: The trunk's width or normalisation is not one that VGG-16 weights exist for.
        WeightsError: The weights cannot be had or do not fit.
    """
    if pretrained is False:
        return
    units = conv_units(stages)
    _check_trunk(units)
    if units[0].convolution.weight.is_meta:
        weights_file(stages.timm_name, pretrained)
        return
    source, state = read_pretrained(stages.timm_name, pretrained)
    has_norm = "features.1.weight" in state
    if has_norm and stages.timm_name == "vgg16":
        raise WeightsError(
            f"{source}: these weights belong to batch norm and the network has none; give a vgg16 file, or norm: batch"
        )
    first = "features.0.weight"
    if first in state:
        state[first] = _adapted(state[first], units[0].convolution.in_channels)
    for unit, slot in zip(units, _slots(has_norm), strict=True):
        _copy(unit.convolution, state, key=f"features.{slot}", source=source)
        if has_norm:
            _copy(unit.norm, state, key=f"features.{slot + 1}", source=source)
    for unit, key in zip(head, ("pre_logits.fc1", "pre_logits.fc2"), strict=False):
        _copy(unit.convolution, state, key=key, source=source)


def read_pretrained(name: str, pretrained: bool | str) -> Pretrained:
    """Read a timm network's weights.

    Args:
        name: timm's name of the network.
        pretrained: True, or the path of a file.

    Raises:
        WeightsError: There is no such file, it cannot be read, or timm cannot get its own.
    """
    file = weights_file(name, pretrained)
    if file is not None:
        return Pretrained(str(file), timm_layout(read_state(file)))
    return Pretrained(f"timm's {name}", _from_timm(name))


def timm_layout(state: Mapping[str, Tensor]) -> State:
    """Return a VGG's weights by timm's keys; torchvision's fully connected layers become convolutions."""
    renamed = dict(state)
    for old, new, kernel in (("classifier.0", "pre_logits.fc1", 7), ("classifier.3", "pre_logits.fc2", 1)):
        if f"{old}.weight" in renamed and f"{old}.bias" in renamed:
            weight = renamed.pop(f"{old}.weight")
            renamed[f"{new}.weight"] = weight.reshape(weight.shape[0], -1, kernel, kernel)
            renamed[f"{new}.bias"] = renamed.pop(f"{old}.bias")
    return renamed


def _from_timm(name: str) -> State:
    import timm

    try:
        state: State = timm.create_model(name, pretrained=True).state_dict()
    except Exception as error:  # the hub's client raises errors of several packages
        raise WeightsError(
            f"timm could not get the weights of {name} ({type(error).__name__}: {str(error).splitlines()[0][:200]}); "
            f"put {name}.safetensors into the folder that {WEIGHTS_FOLDER} names, or give the file: pretrained: PATH"
        ) from error
    return state


def _check_trunk(units: Sequence[ConvUnit]) -> None:
    """Refuse a trunk that VGG-16's weights cannot fit."""
    channels = tuple(unit.convolution.out_channels for unit in units)
    if channels != tuple(count for stage in VGG16_STAGES for count in stage):
        raise UsageError("pretrained VGG-16 weights need width 1.0; leave out 'pretrained' or set width: 1.0")
    if any(isinstance(unit.norm, nn.GroupNorm) for unit in units):
        raise UsageError("there are no VGG-16 weights for norm: group; leave out 'pretrained' or use none or batch")


def _slots(has_norm: bool) -> Iterator[int]:
    """Yield the index of each convolution in timm's flat ``features``: 2 or 3 layers a unit and 1 a pool."""
    slot = 0
    for stage in VGG16_STAGES:
        for _ in stage:
            yield slot
            slot += 3 if has_norm else 2
        slot += 1


def _adapted(weight: Tensor, channels: int) -> Tensor:
    if weight.ndim != 4 or weight.shape[1] == channels:
        return weight
    from timm.models import adapt_input_conv

    adapted: Tensor = adapt_input_conv(channels, weight)
    return adapted


def _copy(layer: nn.Module, state: Mapping[str, Tensor], *, key: str, source: str) -> None:
    """Copy ``key.*`` into a layer; a batch norm's step counter may be absent."""
    for name, target in layer.state_dict(keep_vars=True).items():
        given = state.get(f"{key}.{name}")
        if given is None and name == "num_batches_tracked":
            continue
        if given is None:
            raise WeightsError(f"{source}: no tensor {key}.{name}; this is not a VGG-16 in timm's key layout")
        if given.shape != target.shape:
            raise WeightsError(
                f"{source}: {key}.{name} is {tuple(given.shape)}, the network needs {tuple(target.shape)}"
            )
        with torch.no_grad():
            target.copy_(given)
