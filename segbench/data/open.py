"""Opens the split of a data set that a suite names, cut down and cached as it says."""

from __future__ import annotations

from pathlib import Path

from segbench.config.component import DatasetEntry
from segbench.config.suite import Loader
from segbench.data.base import SegmentationDataset
from segbench.data.cache import DiskCache, MemoryCache
from segbench.data.subset import take, take_fraction
from segbench.errors import DataError
from segbench.registry import DATASETS

_SHOWN_PROBLEMS = 3


def create_dataset(entry: DatasetEntry, split: str) -> SegmentationDataset:
    """Return a whole split as it lies there, with its problems, for checking it.

    Raises:
        DataError: The split is unknown, or the data is missing.
    """
    dataset: SegmentationDataset = DATASETS.create(entry.name, split, **entry.options)
    return dataset


def open_dataset(entry: DatasetEntry, split: str, *, loader: Loader, training: bool = False) -> SegmentationDataset:
    """Return a split that is ready to be used.

    Args:
        entry: The suite's data set; its ``fraction`` cuts down what is trained on, its ``limit`` what is evaluated.
        split: The split.
        loader: Whether and where decoded images are kept.
        training: Whether the split is trained on.

    Raises:
        DataError: The split is unknown, missing, empty or incomplete, or the cache cannot be written.
    """
    dataset = create_dataset(entry, split)
    _refuse_problems(dataset, split)
    if training:
        dataset = take_fraction(dataset, entry.fraction)
    elif entry.limit is not None:
        dataset = take(dataset, entry.limit)
    if loader.cache == "memory":
        return MemoryCache(dataset)
    if loader.cache == "disk":
        return DiskCache(dataset, folder=Path(loader.cache_folder).expanduser() if loader.cache_folder else None)
    return dataset


def _refuse_problems(dataset: SegmentationDataset, split: str) -> None:
    problems = list(dataset.problems)
    if problems:
        shown = "\n  ".join(problems[:_SHOWN_PROBLEMS])
        more = len(problems) - _SHOWN_PROBLEMS
        rest = f"\n  and {more} more" if more > 0 else ""
        raise DataError(
            f"{dataset.info.name}: the split {split!r} is incomplete; 'segbench data check' lists everything:\n"
            f"  {shown}{rest}"
        )
    if len(dataset) == 0:
        raise DataError(
            f"{dataset.info.name}: the split {split!r} is empty; check its list, folders or numbers of images"
        )
