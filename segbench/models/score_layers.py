"""Finds a network's score layers: the last layers with weights before its logits."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from segbench.models.base import constraint_of

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
