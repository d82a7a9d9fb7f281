"""The init schemes of ``train.init``: which layers are initialised, and from which distribution."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from segbench.config.sections.training import InitScheme
from segbench.models.base import constraint_of
from segbench.models.blocks import TRANSPOSED, draw_normal, fan_in, he_normal

SCORE_STD = 0.01
"""Standard deviation of the weights of score layers, as in DeepLab-LargeFOV's release; their biases are zero."""

TRIAL_SIDE = 64
"""Height and width of the test image; the next supported size if the network does not support it."""


def find_score_layers(
    network: nn.Module, candidates: Collection[str], *, classes: int, channels: int
) -> frozenset[str]:
    """Return the layers whose outputs the logits are computed from.

    The network is run once on an empty image, and autograd's graph is followed back from the logits to the first
    candidate on each path. If the network cannot be run, the last candidate with one output per class is returned.

    Args:
        network: Maps (N, channels, H, W) to (N, classes, H, W); ends in evaluation mode.
        candidates: The names of layers with weights.
        classes: Number of classes.
        channels: Channels of the images.
    """
    layers = {name: layer for name, layer in network.named_modules() if name in candidates}
    try:
        found = _last_layers(network, layers, channels)
    except Exception:  # external networks may refuse this image for any reason
        found = list(layers)
        found = [name for name in found if _outputs(layers[name]) == classes][-1:]
    return frozenset(name for name in found if _outputs(layers[name]) == classes)


def _last_layers(network: nn.Module, layers: dict[str, nn.Module], channels: int) -> list[str]:
    made_by: dict[Any, str] = {}
    hooks = [layer.register_forward_hook(partial(_note, name, made_by)) for name, layer in layers.items()]
    side = constraint_of(network).next(TRIAL_SIDE)
    try:
        with torch.enable_grad():
            logits = network.eval()(torch.zeros(1, channels, side, side).requires_grad_() + 0)
    finally:
        for hook in hooks:
            hook.remove()
    return _first_on_each_path(logits.grad_fn, made_by)


def _note(name: str, made_by: dict[Any, str], _layer: nn.Module, _given: Any, output: Tensor) -> None:
    made_by[output.grad_fn] = name


def _first_on_each_path(end: Any, made_by: dict[Any, str]) -> list[str]:
    found: dict[str, None] = {}
    seen, waiting = set(), [end]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if node in made_by:
            found[made_by[node]] = None
        else:
            waiting += [before for before, _ in node.next_functions]
    return list(found)


def _outputs(layer: nn.Module) -> int:
    return int(getattr(layer, "out_channels", 0) or getattr(layer, "out_features", 0))


WEIGHTED = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.Linear)
"""Types of layers that a scheme initialises."""

NORMS = (
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm),
    *(nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d),
)
"""Types of layers that are reset: weight 1, bias 0, initial running statistics."""


@dataclass(frozen=True)
class InitialWeights:
    """What a scheme did to a network.

    Attributes:
        scheme: The scheme's name.
        drawn: Names of the initialised layers.
        small: Names of the score layers, which got small weights.
        kept: Names of the layers that kept their values for every seed: pretrained ones and bilinear kernels.
    """

    scheme: InitScheme
    drawn: tuple[str, ...]
    small: tuple[str, ...]
    kept: tuple[str, ...]


def initialise(
    network: nn.Module, scheme: InitScheme, *, twin: nn.Module, classes: int, channels: int
) -> InitialWeights:
    """Initialise a network's weights by a scheme, using torch's CPU random state.

    Convolutions and fully connected layers are drawn at random, and norms are reset. Layers whose values are equal for
    every seed and not constant keep them: pretrained weights and bilinear kernels. The same holds for such biases of
    drawn layers. Other parameters, such as position embeddings, are not changed.

    Args:
        network: The network, changed in place.
        scheme: The scheme; ``paper`` changes nothing.
        twin: The same network built with another seed; it is run once and must not be used afterwards.
        classes: Number of classes.
        channels: Channels of the images.
    """
    if scheme == "paper":
        return InitialWeights(scheme, (), (), ())
    layers = {name: layer for name, layer in network.named_modules() if isinstance(layer, WEIGHTED + NORMS)}
    others = dict(twin.named_modules())
    fixed = {name: _fixed(layer, others[name]) if name in others else {} for name, layer in layers.items()}
    kept = {
        name for name, layer in layers.items() if "weight" in fixed[name] or (fixed[name] and not _is_drawable(layer))
    }
    free = {name: layer for name, layer in layers.items() if name not in kept}
    weighted = {name: layer for name, layer in free.items() if _is_drawable(layer)}
    small = find_score_layers(twin, frozenset(weighted), classes=classes, channels=channels)
    for name, layer in free.items():
        if name in weighted:
            _draw(layer, scheme, small=name in small)
            layer.load_state_dict(fixed[name], strict=False)
        elif isinstance(layer, NORMS):
            layer.reset_parameters()
    drawn_small = () if scheme == "torch" else tuple(name for name in weighted if name in small)
    return InitialWeights(scheme, tuple(weighted), drawn_small, tuple(name for name in layers if name in kept))


def fan_out(layer: nn.Module) -> int:
    """Return the fan-out as PyTorch counts it for a convolution, without strides."""
    weight = layer.get_parameter("weight")
    if isinstance(layer, TRANSPOSED):
        return math.prod(weight.shape[1:])
    outputs = weight.shape[0] // getattr(layer, "groups", 1)
    return outputs * math.prod(weight.shape[2:])


def glorot_normal(layer: nn.Module) -> None:
    """Draw weights as Glorot and Bengio (2010): normal, variance 2 / (fan-in + fan-out); biases zero."""
    draw_normal(layer, math.sqrt(2 / (fan_in(layer) + fan_out(layer))))


SCHEMES: Mapping[InitScheme, Callable[[nn.Module], None]] = {"kaiming": he_normal, "xavier": glorot_normal}
"""Initialisation functions of layers that are no score layers, by scheme."""


def _draw(layer: nn.Module, scheme: InitScheme, *, small: bool) -> None:
    if scheme == "torch":
        layer.reset_parameters()  # type: ignore[operator]
    elif small:
        draw_normal(layer, SCORE_STD)
    else:
        SCHEMES[scheme](layer)


def _is_drawable(layer: nn.Module) -> bool:
    """Return whether a layer's weight is a parameter; with weight or spectral norm it is computed from others."""
    return isinstance(layer, WEIGHTED) and isinstance(layer._parameters.get("weight"), nn.Parameter)


def _fixed(layer: nn.Module, other: nn.Module) -> dict[str, Tensor]:
    """Return copies of a layer's tensors that are equal for all seeds, by name."""
    own, others = layer.state_dict(), other.state_dict()
    return {key: tensor.clone() for key, tensor in own.items() if key in others and _is_fixed(tensor, others[key])}


def _is_fixed(tensor: Tensor, other: Tensor) -> bool:
    """Return whether a tensor is equal in both networks and not constant (new norms are constant)."""
    same = tensor.shape == other.shape and torch.equal(tensor, other)
    return same and tensor.numel() > 1 and bool((tensor != tensor.flatten()[0]).any())
