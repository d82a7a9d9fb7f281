"""A split of another data set, whose labels are told in the classes of the suite's."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from segbench.data.base import (
    IGNORE_INDEX,
    DatasetInfo,
    DerivedDataset,
    LabelArray,
    Sample,
    SegmentationDataset,
    hash_of,
)
from segbench.errors import DataError, did_you_mean


class OtherClasses(DerivedDataset):
    """A split read with the classes of another data set; what has no class there is void.

    Args:
        dataset: The split.
        info: The data set whose classes are wanted.
        classes_map: Each class of the split as one of those, or None for void; equal names need no entry.

    Raises:
        DataError: A class stands for none, the map names one that there is not, all are void, or the images are of
            another kind.
    """

    def __init__(self, dataset: SegmentationDataset, info: DatasetInfo, classes_map: Mapping[str, str | None]) -> None:
        if dataset.info.image_format != info.image_format:
            found = f"{dataset.info.image_format}; the networks take {info.image_format}"
            raise DataError(f"{dataset.info.name}: its images have {found}")
        super().__init__(dataset)
        self.info, self._table = info, _table(dataset.info, info, classes_map)

    def read(self, index: int) -> Sample:
        """Return one image with its label in the other classes."""
        sample = self.dataset.read(index)
        return sample._replace(label=self._table[sample.label])

    def fingerprint(self) -> str:
        """Return a hash of the split's fingerprint and the classes."""
        return hash_of([self.dataset.fingerprint(), self._table.tolist(), list(self.info.classes)])

    def cache_key(self) -> str:
        """Return a hash of the split's key and the classes."""
        return hash_of([self.dataset.cache_key(), self._table.tolist(), list(self.info.classes)])


def _table(own: DatasetInfo, info: DatasetInfo, classes_map: Mapping[str, str | None]) -> LabelArray:
    """Return the new label of each label from 0 to 255.

    Raises:
        DataError: A class stands for none, the map names one that there is not, or all are void.
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
    if all(other is None for other in wanted.values()):
        raise DataError(
            f"classes_map: all classes of {own.name} are void, so that no pixel would count; map one of them"
        )
    table = np.full(256, IGNORE_INDEX, np.uint8)
    for label, other in enumerate(wanted.values()):
        if other is not None and other not in info.classes:
            raise DataError(f"classes_map: {info.name} has no class {other!r}{did_you_mean(other, info.classes)}")
        table[label] = IGNORE_INDEX if other is None else info.classes.index(other)
    return table
