"""A network of other outputs as one of the data set's classes: each takes the outputs that stand for it."""

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
"""Numbers of classes at which a network is built, to see which of its tensors grow with them."""


class MappedClasses(nn.Module):
    """Gives logits of the data set's classes, made of those of a network with other outputs.

    A class of several outputs has the sum of their probabilities: the logarithm of the sum of their exponentials.
    Outputs that stand for no class are left out, so that each pixel gets the most probable of the data set's classes.

    Attributes:
        model: The network.
        outputs: The outputs of each class.
        name: What the network is called in messages.
    """

    def __init__(self, model: nn.Module, outputs: Sequence[Outputs]) -> None:
        super().__init__()
        self.model = model  # "model.": a prefix that weights are compared without
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
    """Return an entry whose map of classes, where it has one, is in the order of a data set's classes.

    Raises:
        UsageError: The map is not one of these classes.
    """
    if entry.classes_map is None:
        return entry
    given: Any = entry.classes_map
    return entry.model_copy(update={"classes_map": in_order(given, classes)})


def mapped(network: nn.Module, entry: ModelEntry) -> nn.Module:
    """Return a network under the entry's map of classes; as it is without one."""
    return network if entry.classes_map is None else MappedClasses(network, outputs_of(entry))


def outputs_of(entry: ModelEntry) -> tuple[Outputs, ...]:
    """Return the outputs of each class by the entry's map, in its order."""
    given: Any = entry.classes_map
    return tuple(given.values() if isinstance(given, dict) else given)


def count_outputs(entry: ModelEntry, *, classes: int, channels: int) -> int:
    """Return how many outputs an entry's network needs: the data set's classes or, with a map, the checkpoint's.

    Raises:
        UsageError: The map has another number of classes than the data set, or names an output that there is not.
        WeightsError: The checkpoint cannot be read, or does not tell how many outputs it has.
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
    """Return the number of classes at which the shapes of a network would be those of a file.

    Raises:
        WeightsError: There is no such number, or not the same for all tensors.
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
    """Return, for each side of a tensor that grows with the classes, at how many classes it is as long as given."""
    growing = [
        (size, grown - size, side)
        for size, grown, side in zip(small.shape, large.shape, given.shape, strict=False)
        if grown != size
    ]
    return [_TRIED[0] + round((side - size) / growth) for size, growth, side in growing]
