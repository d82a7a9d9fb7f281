"""A split of another data set, whose labels are told in the classes of the suite's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from segbench.data.base import IGNORE_INDEX, DatasetInfo, LabelArray, Remark, Sample, SegmentationDataset
from segbench.errors import DataError, did_you_mean


class OtherClasses(SegmentationDataset):
    """A split read with the classes of another data set; what has no class there is void.

    Args:
        dataset: The split.
        info: The data set whose classes are wanted.
        classes_map: Each class of the split as one of those, or None for void; equal names need no entry.

    Raises:
        DataError: A class stands for none, the map names one that there is not, or the images are of another kind.
    """

    def __init__(self, dataset: SegmentationDataset, info: DatasetInfo, classes_map: Mapping[str, str | None]) -> None:
        if dataset.info.image_format != info.image_format:
            found = f"{dataset.info.image_format}; the networks take {info.image_format}"
            raise DataError(f"{dataset.info.name}: its images have {found}")
        self.dataset, self.info = dataset, info
        self._table = _table(dataset.info, info, classes_map)

    @property
    def names(self) -> Sequence[str]:
        """The split's names."""
        return self.dataset.names

    @property
    def image_ids(self) -> Sequence[str]:
        """What tells the images apart."""
        return self.dataset.image_ids

    @property
    def problems(self) -> Sequence[str]:
        """What is wrong with the split."""
        return self.dataset.problems

    @property
    def index_masks(self) -> Sequence[Path]:
        """Mask files of the split."""
        return self.dataset.index_masks

    def remarks(self, indices: Sequence[int]) -> Sequence[Remark]:
        """Return what is to be said of the images."""
        return self.dataset.remarks(indices)

    def read(self, index: int) -> Sample:
        """Return one image with its label in the other classes."""
        sample = self.dataset.read(index)
        return sample._replace(label=self._table[sample.label])

    def fingerprint(self) -> str:
        """Return a hash of the split's fingerprint and the classes."""
        return self._hash(self.dataset.fingerprint())

    def cache_key(self) -> str:
        """Return a hash of the split's key and the classes."""
        return self._hash(self.dataset.cache_key())

    def prepare(self) -> None:
        """Prepare the split."""
        self.dataset.prepare()

    def _hash(self, own: str) -> str:
        return hashlib.sha256(json.dumps([own, self._table.tolist(), list(self.info.classes)]).encode()).hexdigest()


def _table(own: DatasetInfo, info: DatasetInfo, classes_map: Mapping[str, str | None]) -> LabelArray:
    """Return the new label of each label from 0 to 255.

    Raises:
        DataError: A class stands for none, or the map names one that there is not.
    """
    for name in classes_map:
        if name not in own.classes:
            raise DataError(f"classes_map: {own.name} has no class {name!r}{did_you_mean(name, own.classes)}")
    wanted = {name: classes_map.get(name, name) for name in own.classes}
    lost = [name for name, other in wanted.items() if name not in classes_map and other not in info.classes]
    if lost:
        raise DataError(
            f"classes_map: {own.name} has classes that {info.name} has not: {', '.join(lost)}; map each to one of "
            f"{', '.join(info.classes)}, or to null for void"
        )
    table = np.full(256, IGNORE_INDEX, np.uint8)
    for label, other in enumerate(wanted.values()):
        if other is not None and other not in info.classes:
            raise DataError(f"classes_map: {info.name} has no class {other!r}{did_you_mean(other, info.classes)}")
        table[label] = IGNORE_INDEX if other is None else info.classes.index(other)
    return table
