"""Opens the test splits that records of stored runs name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from segbench.config.component import DatasetEntry
from segbench.config.load import check_part
from segbench.config.suite import Loader
from segbench.data.base import SegmentationDataset
from segbench.data.folds.folds import open_folds
from segbench.data.open import open_dataset
from segbench.errors import DataError
from segbench.results.record import RunRecord


class RecordedSplits:
    """Opens the images that runs were tested on by their records, each split once.

    Args:
        options: Options with the location of the data, such as ``root``, which records do not contain.
    """

    def __init__(self, options: Mapping[str, Any] | None = None) -> None:
        self.options = dict(options or {})
        self._opened: dict[str, SegmentationDataset] = {}

    def of(self, record: RunRecord) -> SegmentationDataset:
        """Return the test split of a run; in a cross-validation, its fold.

        Raises:
            DataError: The data is missing or cannot be read, or the record does not name it.
            SuiteError: The data set does not have an option.
        """
        known = record.recipe.get("dataset")
        if not isinstance(known, dict):
            raise DataError(f"{record.id}: its recipe names no data set")
        document = known | self.options
        fold = record.fold.index if record.fold else None
        key = repr((sorted(document.items()), fold))
        if key not in self._opened:
            entry = check_part(DatasetEntry, document, key="dataset")
            self._opened[key] = _test_split(entry, fold)
        return self._opened[key]


def _test_split(entry: DatasetEntry, fold: int | None) -> SegmentationDataset:
    if fold is None:
        return open_dataset(entry, entry.test_split, loader=Loader())
    return open_folds(entry, loader=Loader()).test(fold)
