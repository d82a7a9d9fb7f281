"""Adapts a network to its entry: pads its images, and selects its scores if they are not in the default place."""

from __future__ import annotations

from torch import nn

from segbench.config.component import ModelEntry
from segbench.errors import UsageError
from segbench.models.base import SegmentationNetwork, constraint_of
from segbench.models.external import ExternalNetwork
from segbench.models.padding import Padded


def adapted(network: nn.Module, entry: ModelEntry, *, classes: int) -> nn.Module:
    """Wrap a factory's network to map images to logits of the same size, with the entry's padding.

    Raises:
        UsageError: The entry sets ``output`` or ``pad_to`` for a network that does not need it.
    """
    if isinstance(network, SegmentationNetwork):
        return _built_in(network, entry)
    if not isinstance(network, ExternalNetwork):
        network = ExternalNetwork(network, classes, name=entry.name)
    network.output = entry.output
    network.step = entry.pad_to or network.step
    return network


def _built_in(network: SegmentationNetwork, entry: ModelEntry) -> nn.Module:
    if entry.output is not None:
        raise UsageError(f"{entry.name} returns its scores alone: leave 'output' out")
    if entry.pad_to is None:
        return network
    if network.output_margin:
        raise UsageError(f"{entry.name} with valid convolutions takes images of any size: write 'pad_to: null'")
    return Padded(network, constraint_of(network), entry.pad_to)
