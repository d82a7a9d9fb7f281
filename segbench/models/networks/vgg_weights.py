"""VGG-16's weights: read from a file or from timm, and copied into the networks that stand on its trunk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from segbench.errors import UsageError, WeightsError
from segbench.models.networks.timm_encoders import WEIGHTS_FOLDER, weights_file
from segbench.models.networks.vgg import VGG16_STAGES, ConvUnit, LoadedLayers, VGG16Trunk, conv_units
from segbench.models.weights.checkpoint import read_state
from segbench.models.weights.foreign_states import State

HEAD = {"fc6": "pre_logits.fc1", "fc7": "pre_logits.fc2"}
"""timm's keys of the fully connected layers that became convolutions."""

_CLASSIFIER_KEYS = ("pre_logits.", "classifier.", "head.")
"""How the keys of fully connected layers begin in timm and torchvision; a file without any has convolutions only."""


class Pretrained(NamedTuple):
    """Weights by timm's keys, and where they come from in words."""

    source: str
    state: State


def load_vgg16(pretrained: bool | str, stages: VGG16Trunk, head: Sequence[ConvUnit] = ()) -> None:
    """Copy VGG-16 weights of timm's key layout into a trunk, and fc6 and fc7 into its head.

    Weights without fully connected layers go into the trunk alone; the head then stays as it is. Batch-norm units take
    their affine and running statistics from a ``vgg16_bn`` file and stay at identity with a plain ``vgg16`` file. A
    first convolution of other than 3 input channels is adapted as timm does it. Half precision is widened. A trunk on
    the meta device has no values to copy to: options and file are checked and nothing is read.

    Args:
        pretrained: False does nothing; True takes ``$SEGBENCH_WEIGHTS/<timm name>.safetensors`` or else timm's own
            weights, ``vgg16_bn`` for a trunk with batch norm and ``vgg16`` without; a path takes that file.
        stages: What ``vgg16_stages`` returned, at width 1.0; its ``loaded`` then says what was loaded.
        head: The units fc6 (7x7) and fc7 (1x1), or nothing.

    Raises:
        UsageError: The trunk's width or normalisation is not one that VGG-16 weights exist for.
        WeightsError: The weights cannot be had or do not fit, or lack a convolution or one of fc6 and fc7.
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
        state[first] = _adapted(state[first].float(), units[0].convolution.in_channels)
    layers = _trunk_layers(units, has_norm=has_norm)
    with_head = any(key.startswith(_CLASSIFIER_KEYS) for key in state)
    if with_head:
        layers += [_Layer(part, HEAD[part], unit.convolution) for part, unit in zip(HEAD, head, strict=False)]
    for _, key, layer in layers:
        _copy(layer, state, key=key, source=source)
    wanted = [*(HEAD if head else ()), *(["batch norms"] if stages.timm_name == "vgg16_bn" else [])]
    parts = {part: [layer for other, _, layer in layers if other == part] for part, _, _ in layers}
    absent = tuple(part for part in wanted if part not in parts)
    stages.loaded = LoadedLayers(Path(source).name, parts, absent)


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


class _Layer(NamedTuple):
    """A layer that takes weights: the part that it belongs to, its key in timm, and itself."""

    part: str
    key: str
    layer: nn.Module


def _trunk_layers(units: Sequence[ConvUnit], *, has_norm: bool) -> list[_Layer]:
    """Return the trunk's convolutions and, where they have weights, their batch norms."""
    layers = []
    for unit, slot in zip(units, _slots(has_norm), strict=True):
        layers.append(_Layer("convolutions", f"features.{slot}", unit.convolution))
        if has_norm:
            layers.append(_Layer("batch norms", f"features.{slot + 1}", unit.norm))
    return layers


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
