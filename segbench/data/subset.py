"""Subsets of a split: nested fractions and limits, selected by the images' names."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from segbench.data.base import DerivedDataset, Remark, Sample, SegmentationDataset, hash_of


class Subset(DerivedDataset):
    """Some images of a split, in the split's order.

    Args:
        dataset: The whole split.
        indices: The images to keep.
    """

    def __init__(self, dataset: SegmentationDataset, indices: Sequence[int]) -> None:
        super().__init__(dataset)
        self.indices = tuple(sorted(indices))
        names = dataset.names
        self._names = tuple(names[index] for index in self.indices)

    @property
    def names(self) -> Sequence[str]:
        """The kept images' names."""
        return self._names

    @property
    def image_ids(self) -> Sequence[str]:
        """Ids of the kept images across splits."""
        whole = self.dataset.image_ids
        return [whole[index] for index in self.indices]

    def remarks(self, indices: Sequence[int]) -> Sequence[Remark]:
        """Return remarks about some of the kept images."""
        return self.dataset.remarks([self.indices[index] for index in indices])

    def read(self, index: int) -> Sample:
        """Return one of the kept images."""
        return self.dataset.read(self.indices[index])

    def fingerprint(self) -> str:
        """Return a hash of the whole split's fingerprint and the kept names."""
        return hash_of([self.dataset.fingerprint(), self._names])

    def cache_key(self) -> str:
        """Return a hash of the whole split's key and the kept names."""
        return hash_of([self.dataset.cache_key(), self._names])

    def prepare(self) -> None:
        """Prepare the whole split."""
        self.dataset.prepare()


def take_fraction(dataset: SegmentationDataset, fraction: float) -> SegmentationDataset:
    """Return a fraction of a split, at least one image; smaller fractions are subsets of larger ones."""
    return take(dataset, max(1, round(fraction * len(dataset)))) if fraction < 1 else dataset


def take(dataset: SegmentationDataset, count: int | None) -> SegmentationDataset:
    """Return a number of images of a split: the first in a fixed order of name hashes; None takes all."""
    if count is None or count >= len(dataset):
        return dataset
    names = dataset.names
    order = sorted(range(len(names)), key=lambda index: (hashlib.sha256(names[index].encode()).digest(), index))
    return Subset(dataset, order[:count])
