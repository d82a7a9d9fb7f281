"""Creates the network of a model entry by its factory."""

from __future__ import annotations

from torch import nn

from segbench.config.component import ModelEntry
from segbench.errors import UsageError
from segbench.models.base import OverlapTile, SegmentationNetwork, constraint_of
from segbench.models.external import ExternalNetwork
from segbench.models.padding import Padded
from segbench.registry import MODELS


def create(entry: ModelEntry, *, classes: int, channels: int) -> nn.Module:
    """Call an entry's factory with the current random state, and adapt the network to the entry."""
    return adapted(MODELS.create(entry.name, classes, channels, **entry.options), entry, classes=classes)


def labelling_every_pixel(network: nn.Module) -> nn.Module:
    """Return a network whose logits have the image's size; valid convolutions get mirrored borders."""
    if isinstance(network, SegmentationNetwork) and network.output_margin > 0:
        return OverlapTile(network)
    return network


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
