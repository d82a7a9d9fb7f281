"""Tries an external network on a small random image, to find its outputs and check that they are scores."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from segbench.errors import ModelRefusal
from segbench.models.base import constraint_of
from segbench.models.external import ExternalNetwork, refusing_exit
from segbench.models.outputs import LOGITS_NAMES, Found, in_words, members, wrong_logits
from segbench.models.padding import pad, padded
from segbench.results.outputs import Activation, OutputFacts

SMALL_SIZE = (64, 96)
"""Height and width of the image; they differ to detect outputs with both exchanged."""
IMAGES = 2
"""Images in the batch, since batch norm cannot train on one value per channel."""
SCALES = (1.0, 100.0)
"""Standard deviations of the tried images; scores between 0 and 1 for all of them come from an activation."""
TOLERANCE = 1e-3
"""Tolerance of sums over classes, also for half precision."""


class _Trial(NamedTuple):
    """The result of one forward pass.

    Attributes:
        returned: The network's output.
        logits: (N, classes, h, w) float32.
    """

    returned: Any
    logits: Tensor


def try_outputs(
    network: nn.Module, *, channels: int, size: tuple[int, int], also: Collection[str] = ()
) -> OutputFacts | None:
    """Run an external network in both modes; weights, mode, buffers and random state are not changed.

    It is run on a small image or, if it does not support that, on one of the given size. The result is stored in the
    network's ``tried``.

    Args:
        network: Any network; on the meta device only shapes are found.
        channels: Channels of the images.
        size: Height and width of its intended images.
        also: Further names of auxiliary outputs.

    Returns:
        The outputs; None for built-in networks, and for those that cannot be run on either image.

    Raises:
        ModelRefusal: It returns no logits of its classes in at least one mode, or exits the program.
    """
    if not isinstance(network, ExternalNetwork) or any(map(is_lazy, network.parameters())):
        return None
    constraint = constraint_of(network)
    small = (constraint.next(SMALL_SIZE[0]), constraint.next(SMALL_SIZE[1]))
    with copied(network) as copy:
        for tried in dict.fromkeys((small, size)):
            try:
                with refusing_exit(network.name):
                    network.tried = _facts(copy, channels, tried, also)
            except ModelRefusal:
                raise
            except Exception:  # noqa: S112 - external networks may refuse an image or the device for any reason
                continue
            break
    return network.tried


def activation_of(scores: list[Tensor]) -> Activation | None:
    """Return the activation applied to (N, classes, h, w) scores, if all agree; None for logits."""
    if any(one.is_meta for one in scores):
        return None
    kinds = {_activation(one) for one in scores}
    kind = kinds.pop() if len(kinds) == 1 else None
    # ReLU gives exact zeros, a sigmoid only for large values
    return None if kind == "sigmoid" and float(scores[0].min()) == 0 else kind


def _facts(network: ExternalNetwork, channels: int, size: tuple[int, int], also: Collection[str]) -> OutputFacts:
    weight = next(network.parameters(), torch.zeros(()))
    noise = torch.randn(IMAGES, channels, *size, generator=torch.Generator().manual_seed(0))
    scales = SCALES[:1] if weight.is_meta else SCALES
    images = [(scale * noise).to(weight.device, weight.dtype) for scale in scales]
    network.eval()
    evaluated = [_tried(network, given) for given in images]
    network.train()
    trained = [_tried(network, given) for given in images]
    first, other = trained[0].returned, evaluated[0].returned
    if network.output is not None and isinstance(first, Tensor) and isinstance(other, Tensor):
        raise ModelRefusal(f"{network.name} returns {in_words(first)}, in which 'output' names nothing: leave it out")
    activations: dict[Any, Activation] = {}
    for mode, trials in (("training", trained), ("evaluation", evaluated)):
        if (activation := activation_of([trial.logits for trial in trials])) is not None:
            activations[mode] = activation
    logits = (evaluated[0].logits, trained[0].logits)
    return OutputFacts(
        images=(IMAGES, channels, *size),
        evaluation=in_words(other),
        training=in_words(first),
        logits=network.logits(first).path,
        unnamed=max(_unnamed(network, returned) for returned in (first, other)),
        stride=padded(size[0], network.step) / logits[0].shape[-2],
        odd_size=_odd_size(logits[0], (padded(size[0], network.step), padded(size[1], network.step))),
        auxiliary=tuple(found.path for found in _auxiliary(network, first, also)),
        activations=activations,
        finite=logits[0].is_meta or all(bool(one.isfinite().all()) for one in logits),
    )


def _tried(network: ExternalNetwork, images: Tensor) -> _Trial:
    """Run the network once.

    Raises:
        ModelRefusal: It returns no logits, or logits of another batch size or with height and width exchanged.
    """
    images = pad(images, network.step)
    with torch.no_grad():
        returned = network.model(images)
    logits = network.logits(returned).value
    height, width = images.shape[-2:]
    rows, columns = logits.shape[-2:]
    problem = None
    if logits.shape[0] != len(images):
        problem = f"for a batch of {len(images)} images"
    elif height != width and rows * height == columns * width:
        problem = f"for images of {height}x{width}: height and width are exchanged"
    if problem is not None:
        raise ModelRefusal(f"{network.name} returns {in_words(returned)} {problem}; expected (N, classes, H, W)")
    return _Trial(returned, logits.float())


def _odd_size(logits: Tensor, size: tuple[int, int]) -> tuple[int, int] | None:
    """Return the height and width of logits that no whole stride makes of images, nor images of a whole factor."""
    rows, columns = logits.shape[-2:]
    strides = {round(length / own) for length, own in zip(size, (rows, columns), strict=True)} - {0}
    if any(rows in _strided(size[0], stride) and columns in _strided(size[1], stride) for stride in strides):
        return None
    enlarged = rows % size[0] == 0 and columns % size[1] == 0
    return None if enlarged else (rows, columns)


def _strided(length: int, stride: int) -> set[int]:
    """Return how many pixels a side has after layers of a stride, with or without padding to a whole one."""
    return {length // stride, -(-length // stride), (length - 1) // stride + 1}


def _unnamed(network: ExternalNetwork, returned: Any) -> int:
    """Return the number of members of a list or tuple that could be the logits, if none was chosen by ``output``."""
    named = network.output is not None or network.logits(returned).path in LOGITS_NAMES
    if named or not isinstance(returned, list | tuple):
        return 1
    parts = (members(returned) or {}).values()
    return sum(isinstance(part, Tensor) and wrong_logits(part, network.classes) is None for part in parts)


def _auxiliary(network: ExternalNetwork, returned: Any, also: Collection[str]) -> tuple[Found, ...]:
    """Return the auxiliary outputs; empty if values under their names are no scores."""
    try:
        return network.auxiliary(returned, also)
    except ModelRefusal:
        return ()


def _activation(scores: Tensor) -> Activation | None:
    least, most = float(scores.min()), float(scores.max())
    if most <= 0 and _sums_to_one(scores.exp()):
        return "log_softmax"
    if not (least >= 0 and most <= 1):
        return None
    if _sums_to_one(scores):
        return "softmax"
    return "sigmoid" if most > least else None


def _sums_to_one(scores: Tensor) -> bool:
    return bool((scores.sum(1) - 1).abs().max() <= TOLERANCE)


@contextmanager
def copied(network: ExternalNetwork) -> Iterator[ExternalNetwork]:
    """Yield a copy of a network for trials; torch's CPU random state is restored afterwards.

    If it cannot be copied, the network itself is yielded, and its modes and buffers are restored.
    """
    try:
        copy = deepcopy(network)
    except Exception:  # external networks may not support copying
        copy = network
    modes = [(module, module.training) for module in network.modules()]
    buffers = [(buffer, buffer.clone()) for buffer in network.buffers()]
    try:
        with torch.random.fork_rng(devices=[]):
            yield copy
    finally:
        for module, training in modes:
            module.training = training
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
