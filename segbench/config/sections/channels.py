"""Checks that a suite's transforms support the images' channels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from segbench.config.component import DatasetEntry, TransformEntry

_RGB = 3
_COLOUR_STEPS = ("color_jitter",)
"""Transforms that require RGB channels."""
_IMAGENET = [0.485, 0.456, 0.406]
_NOT_MEASURED = (
    "statistics: measured needs a recipe under train, whose split is measured; give mean and std, such as those that "
    "the record of a training holds (data.statistics)"
)


class Mismatch(NamedTuple):
    """A transform that does not support the images.

    Attributes:
        place: Its index among the transforms.
        problem: The problem and what to do.
    """

    place: int
    problem: str


def given_channels(dataset: DatasetEntry) -> int | None:
    """Return the number of channels set by a data set's option ``channels``; None if not given."""
    given = dataset.options.get("channels")
    return len(given) if isinstance(given, list) else given


def mismatches(steps: Sequence[TransformEntry], channels: int | None, *, trained: bool) -> Iterator[Mismatch]:
    """Yield the transforms that cannot be applied.

    Args:
        steps: The transforms.
        channels: Number of image channels; None if only the data determines it.
        trained: Whether there is a training split for measuring statistics.
    """
    for place, step in enumerate(steps):
        problem = _problem(step, channels, trained=trained)
        if problem is not None:
            yield Mismatch(place, problem)


def _problem(step: TransformEntry, channels: int | None, *, trained: bool) -> str | None:
    if step.options.get("statistics") == "measured":
        return None if trained else _NOT_MEASURED
    if channels is None:
        return None
    if step.name in _COLOUR_STEPS and channels != _RGB:
        return f"{step.name} changes the colours of three channels, but dataset.channels makes {channels}; leave it out"
    mean = step.options.get("mean")
    if step.name != "normalize" or not isinstance(mean, list) or len(mean) == channels:
        return None
    whose = "ImageNet's mean and std" if mean == _IMAGENET else f"mean {mean}"
    return (
        f"normalize has {whose}, for {len(mean)} channels, but dataset.channels makes {channels}; write "
        "{name: normalize, statistics: measured}, or mean and std with a number for each channel"
    )
