"""From a model entry to the network that its factory makes."""

from __future__ import annotations

from torch import nn

from segbench.config.component import ModelEntry
from segbench.models.adapt import adapted
from segbench.models.base import OverlapTile, SegmentationNetwork
from segbench.registry import MODELS


def create(entry: ModelEntry, *, classes: int, channels: int) -> nn.Module:
    """Call an entry's factory, with whatever random state there is, and adapt what it makes to the entry."""
    return adapted(MODELS.create(entry.name, classes, channels, **entry.options), entry, classes=classes)


def labelling_every_pixel(network: nn.Module) -> nn.Module:
    """Return a network whose logits have the image's size: one of valid convolutions is given mirrored borders."""
    if isinstance(network, SegmentationNetwork) and network.output_margin > 0:
        return OverlapTile(network)
    return network
