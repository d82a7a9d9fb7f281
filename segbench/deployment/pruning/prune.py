"""Takes the weakest channels out of every layer of a network (structured pruning), by torch-pruning."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from segbench.deployment.export.difference import Shape
from segbench.deployment.export.quiet import quiet
from segbench.errors import ModelRefusal, typed_line
from segbench.models.initial import find_score_layers

_LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


def parameters_of(network: nn.Module) -> int:
    """Return how many parameters a network learns."""
    return sum(one.numel() for one in network.parameters())


def pruned(network: nn.Module, ratio: float, shape: Shape, *, classes: int) -> nn.Module:
    """Return a copy of a network without a share of the channels of every layer, those of the smallest L2 norm.

    Channels that depend on each other go together (G. Fang et al., "DepGraph: Towards Any Structural Pruning", CVPR
    2023). Layers that give the scores keep their outputs. Equal networks are pruned alike.

    Args:
        network: On the CPU.
        ratio: The share of the channels, above 0 and below 1.
        shape: A shape (N, C, H, W) of images that it takes.
        classes: Number of classes.

    Raises:
        ModelRefusal: It cannot be pruned.
    """
    import torch_pruning

    smaller = copy.deepcopy(network).eval()
    example = torch.zeros(shape)
    named = {name: layer for name, layer in smaller.named_modules() if isinstance(layer, _LAYERS)}
    scores = find_score_layers(smaller, named.keys(), classes=classes, channels=shape[1])
    try:
        with quiet():
            pruner: Any = torch_pruning.pruner.BasePruner(
                smaller,
                example,
                importance=torch_pruning.importance.MagnitudeImportance(p=2),
                pruning_ratio=ratio,
                ignored_layers=[named[name] for name in scores],
            )
            pruner.step()
        with torch.inference_mode():
            expected, found = network.eval()(example).shape, smaller(example).shape
    except Exception as error:  # torch-pruning and networks raise whatever they like
        raise ModelRefusal(f"cannot be pruned: {typed_line(error, most=300)}") from error
    if found != expected:
        raise ModelRefusal(f"cannot be pruned: it would give scores {tuple(found)} in place of {tuple(expected)}")
    if parameters_of(smaller) >= parameters_of(network):
        raise ModelRefusal("cannot be pruned: no channel can be taken out of it")
    return smaller
