"""Creates the network of a model entry by its factory."""

from __future__ import annotations

from torch import nn

from segbench.config.component import ModelEntry
from segbench.models.adapt import adapted
from segbench.models.base import OverlapTile, SegmentationNetwork
from segbench.registry import MODELS


def create(entry: ModelEntry, *, classes: int, channels: int) -> nn.Module:
    """Call an entry's factory with the current random state, and adapt the network to the entry."""
    return adapted(MODELS.create(entry.name, classes, channels, **entry.options), entry, classes=classes)


def labelling_every_pixel(network: nn.Module) -> nn.Module:
    """Return a network whose logits have the image's size; valid convolutions get mirrored borders."""
    if isinstance(network, SegmentationNetwork) and network.output_margin > 0:
        return OverlapTile(network)
    return network
