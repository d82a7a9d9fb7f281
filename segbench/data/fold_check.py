"""Reads the pooled images of a cross-validation once, and finds images that lie in two folds under two names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from segbench.data.base import Sample, SegmentationDataset
from segbench.data.check import DatasetReport, Progress, check_parts
from segbench.data.folds import Folds

_SHOWN = 3


class CheckedFolds(NamedTuple):
    """What was found.

    Attributes:
        reports: By the ``cache_key`` of each part, what it holds.
        shared: One line for each image that lies in several folds.
    """

    reports: dict[str, DatasetReport]
    shared: list[str]


def check_folds(
    folds: Folds, parts: Iterable[SegmentationDataset], *, progress: Progress | None = None
) -> CheckedFolds:
    """Read every image of a cross-validation once; problems are collected, not raised.

    Args:
        folds: The folds.
        parts: What is to be reported: folds, or what is trained on beside them.
        progress: Called after each image.
    """
    place = {name: index for index, name in enumerate(folds.pool.names)}
    indices = {part.cache_key(): [place[name] for name in part.names] for part in parts}
    twins = _Twins(folds)
    reports = check_parts(folds.pool, indices, look=twins.add, progress=progress)
    return CheckedFolds(reports, twins.shared())


@dataclass
class _Twins:
    """Images by what they decode to."""

    folds: Folds
    alike: dict[bytes, list[int]] = field(default_factory=dict)

    def add(self, index: int, sample: Sample) -> None:
        """Note an image, unless it is of one colour all over: such images are alike without being copies."""
        pixels = np.ascontiguousarray(sample.image)
        if (pixels == pixels[:1, :1]).all():
            return
        content = hashlib.sha256(repr(pixels.shape).encode())
        content.update(pixels.data)
        self.alike.setdefault(content.digest(), []).append(index)

    def shared(self) -> list[str]:
        """Return one line for each image that lies in several folds."""
        numbers, names = self.folds.numbers, self.folds.pool.names
        return [
            f"{', '.join(names[index] for index in same[:_SHOWN])}: the same image in the folds "
            f"{', '.join(map(str, sorted({numbers[index] for index in same})))}, so that it would be trained on and "
            "tested; delete all but one, or put them into one group (dataset.fold_groups)"
            for same in self.alike.values()
            if len({numbers[index] for index in same}) > 1
        ]
