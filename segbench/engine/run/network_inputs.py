"""What the networks of a run see: classes, channels and sizes of images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from segbench.engine.run.data import RunData


class NetworkInputs(NamedTuple):
    """What a suite's networks see.

    Attributes:
        classes: How many classes.
        channels: Channels of an image.
        sizes: Every height and width that they meet, in ascending order.
    """

    classes: int
    channels: int
    sizes: tuple[tuple[int, int], ...]


def inputs_of(materials: RunData, splits: Mapping[str, Any]) -> NetworkInputs:
    """Return what the networks of a run's recipe see.

    Args:
        materials: The run's splits.
        splits: What was counted in splits, by key.
    """
    counted = splits[materials.test.cache_key()]["sizes"]
    sizes = materials.seen_sizes([read_size(size) for size in counted])
    return NetworkInputs(len(materials.info.classes), materials.info.channels, tuple(sorted(sizes)))


def read_size(text: str) -> tuple[int, int]:
    """Return the height and width in ``"360x480"``."""
    height, width = text.split("x")
    return int(height), int(width)
