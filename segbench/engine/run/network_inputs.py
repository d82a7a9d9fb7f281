"""Input facts of a run's networks: classes, channels and image sizes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from segbench.engine.run.data import RunData


class NetworkInputs(NamedTuple):
    """Inputs of a suite's networks.

    Attributes:
        classes: Number of classes.
        channels: Number of image channels.
        sizes: All (height, width) of inputs, in ascending order.
    """

    classes: int
    channels: int
    sizes: tuple[tuple[int, int], ...]


def inputs_of(run_data: RunData, splits: Mapping[str, Any]) -> NetworkInputs:
    """Return the inputs of the networks with a run's recipe.

    Args:
        run_data: The run's splits.
        splits: Findings of the data checks, by split key.
    """
    counted = splits[run_data.test.cache_key()]["sizes"]
    sizes = run_data.seen_sizes([read_size(size) for size in counted])
    return NetworkInputs(len(run_data.info.classes), run_data.info.channels, tuple(sorted(sizes)))


def read_size(text: str) -> tuple[int, int]:
    """Parse a height and width such as ``"360x480"``."""
    height, width = text.split("x")
    return int(height), int(width)
