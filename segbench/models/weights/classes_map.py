"""Maps a network's outputs to the data set's classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from segbench.config.component import ModelEntry
from segbench.config.sections.classes_map import Outputs, in_order
from segbench.errors import UsageError, WeightsError
from segbench.models.skeleton import skeleton
from segbench.models.weights.foreign_states import read_contents
from segbench.models.weights.state_choice import choose

_TRIED = (2, 3)
"""Numbers of classes with which a network is built, to find which tensors depend on them."""


class MappedClasses(nn.Module):
    """Computes logits of the data set's classes from a network with other outputs.

    A class with several outputs gets the sum of their probabilities (logsumexp of their logits). Other outputs are
    ignored, so each pixel gets the most probable of the data set's classes.

    Attributes:
        model: The network.
        outputs: The outputs of each class.
        name: Name of the network in messages.
    """

    def __init__(self, model: nn.Module, outputs: Sequence[Outputs]) -> None:
        super().__init__()
        self.model = model  # the prefix "model." is ignored when weights are matched
        self.outputs = tuple(outputs)
        self.name = str(getattr(model, "name", type(model).__name__))
        self.citation = str(getattr(model, "citation", ""))
        constraint = getattr(model, "input_constraint", None)
        if constraint is not None:
            self.input_constraint = constraint

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, C, H, W) images to (N, classes, H, W) logits."""
        logits: Tensor = self.model(images)
        if all(len(one) == 1 for one in self.outputs):
            return logits[:, [one[0] for one in self.outputs]]
        return torch.stack([_summed(logits[:, list(one)]) for one in self.outputs], dim=1)


def _summed(logits: Tensor) -> Tensor:
    return logits[:, 0] if logits.shape[1] == 1 else logits.logsumexp(dim=1)


def for_classes(entry: ModelEntry, classes: Sequence[str]) -> ModelEntry:
    """Return an entry whose map of classes (if any) is in the order of the data set's classes.

    Raises:
        UsageError: The map does not match these classes.
    """
    if entry.classes_map is None:
        return entry
    given: Any = entry.classes_map
    return entry.model_copy(update={"classes_map": in_order(given, classes)})


def mapped(network: nn.Module, entry: ModelEntry) -> nn.Module:
    """Wrap a network with the entry's map of classes; unchanged without one."""
    return network if entry.classes_map is None else MappedClasses(network, outputs_of(entry))


def outputs_of(entry: ModelEntry) -> tuple[Outputs, ...]:
    """Return the outputs of each class in the order of the entry's map."""
    given: Any = entry.classes_map
    return tuple(given.values() if isinstance(given, dict) else given)


def count_outputs(entry: ModelEntry, *, classes: int, channels: int) -> int:
    """Return the number of outputs of an entry's network: the data set's classes or, with a map, the checkpoint's.

    Raises:
        UsageError: The map's number of classes differs from the data set's, or it names an output that does not exist.
        WeightsError: The checkpoint cannot be read, or its number of outputs cannot be determined.
    """
    if entry.classes_map is None:
        return classes
    assert entry.weights is not None
    by_class = outputs_of(entry)
    if len(by_class) != classes:
        raise UsageError(f"classes_map has {len(by_class)} entries; the data set has {classes} classes")
    count = _outputs_in_file(entry, channels=channels)
    if beyond := [index for one in by_class for index in one if index >= count]:
        raise UsageError(f"classes_map names output {beyond[0]}; {entry.weights} has {count}, 0 to {count - 1}")
    return count


def _outputs_in_file(entry: ModelEntry, *, channels: int) -> int:
    """Return the number of classes for which a network's shapes match a file.

    Raises:
        WeightsError: There is no such number, or it differs between tensors.
    """
    assert entry.weights is not None
    small, large = (skeleton(entry, classes=count, channels=channels).state_dict() for count in _TRIED)
    found = choose(small, read_contents(entry.weights, shapes_only=True), entry.weights_key)
    counts = {
        count
        for name, key in (found.pairing.fitting | found.pairing.misshapen).items()
        for count in _counts(small[name], large[name], found.state[key])
    }
    if len(counts) != 1:
        told = f"; its tensors speak of {', '.join(map(str, sorted(counts)))}" if counts else ""
        raise WeightsError(f"{entry.weights}: does not tell how many classes {entry.name} was trained on{told}")
    return counts.pop()


def _counts(small: Tensor, large: Tensor, given: Tensor) -> list[int]:
    """Return the number of classes for each dimension of a tensor that depends on it."""
    growing = [
        (size, grown - size, side)
        for size, grown, side in zip(small.shape, large.shape, given.shape, strict=False)
        if grown != size
    ]
    return [_TRIED[0] + round((side - size) / growth) for size, growth, side in growing]
