"""Opens a split of a suite's data set, with its subset and cache settings."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from segbench.config.component import DatasetEntry
from segbench.config.suite import Loader
from segbench.data.base import SegmentationDataset
from segbench.data.cache.datasets import DiskCache, MemoryCache
from segbench.data.cache.files import cache_file, make_room
from segbench.data.cache.limits import free_disk_bytes, free_memory_bytes
from segbench.data.paths import user_cache_folder
from segbench.data.subset import take, take_fraction
from segbench.errors import DataError
from segbench.registry import DATASETS

_SHOWN_PROBLEMS = 3
_log = logging.getLogger(__name__)


def create_dataset(entry: DatasetEntry, split: str) -> SegmentationDataset:
    """Return a whole split with its problems, for checking it.

    Raises:
        DataError: The split is unknown, or the data is missing.
    """
    dataset: SegmentationDataset = DATASETS.create(entry.name, split, **entry.options)
    return dataset


def open_dataset(entry: DatasetEntry, split: str, *, loader: Loader, training: bool = False) -> SegmentationDataset:
    """Return a split that is ready to be used.

    Args:
        entry: The suite's data set; its ``fraction`` reduces training splits, its ``limit`` evaluated ones.
        split: The split.
        loader: The cache settings.
        training: Whether the split is used for training.

    Raises:
        DataError: The split is unknown, missing, empty or incomplete, or the cache cannot be written.
    """
    dataset = create_dataset(entry, split)
    refuse_problems(dataset, split)
    if training:
        dataset = take_fraction(dataset, entry.fraction)
    elif entry.limit is not None:
        dataset = take(dataset, entry.limit)
    return cached(dataset, loader)


def cached(dataset: SegmentationDataset, loader: Loader) -> SegmentationDataset:
    """Return a split with the loader's cache, if there is room for it; else log a warning and return it uncached.

    Raises:
        DataError: The cache cannot be written.
    """
    if loader.cache == "none":
        return dataset
    folder = Path(loader.cache_folder).expanduser() if loader.cache_folder else user_cache_folder()
    if loader.cache == "disk" and cache_file(dataset, folder).exists():
        return DiskCache(dataset, folder=folder)
    needed, room = decoded_bytes(dataset), _room(loader, folder)
    if needed > room or (loader.cache == "disk" and not make_room(folder, needed, limit=_limit(loader))):
        _log.warning(
            "%s: decoded, %d images take about %.1f GB, with room for %.1f GB in %s; they are decoded every time",
            dataset.info.name,
            len(dataset),
            needed / 1e9,
            room / 1e9,
            f"{folder}, other caches in use included" if loader.cache == "disk" else "memory",
        )
        return dataset
    if loader.cache == "memory":
        return MemoryCache(dataset)
    return DiskCache(dataset, folder=folder)


def less(loader: Loader, opened: SegmentationDataset) -> Loader:
    """Return a loader whose memory limit is reduced by the size of an opened split."""
    if not isinstance(opened, MemoryCache):
        return loader
    left = min(loader.cache_gigabytes, free_memory_bytes() / 2e9) - decoded_bytes(opened.dataset) / 1e9
    return loader.model_copy(update={"cache_gigabytes": max(left, 0.0)})


def decoded_bytes(dataset: SegmentationDataset) -> int:
    """Estimate the memory of a split's decoded images and labels from the first and last sample."""
    samples = [dataset.read(index) for index in {0, len(dataset) - 1}]
    each = sum(sample.image.nbytes + sample.label.nbytes for sample in samples) / len(samples)
    return round(each * len(dataset))


def _room(loader: Loader, folder: Path) -> int:
    """Return the size limit of a cache: half of the free space, at most the suite's limit."""
    free = free_memory_bytes() if loader.cache == "memory" else free_disk_bytes(folder)
    return min(_limit(loader), free // 2)


def _limit(loader: Loader) -> int:
    return round(loader.cache_gigabytes * 1e9)


def refuse_mixed_images(splits: Mapping[str, SegmentationDataset]) -> None:
    """Refuse splits whose images differ in channels or pixel type.

    Args:
        splits: The splits by name or role.

    Raises:
        DataError: They differ; names both splits.
    """
    formats = {name: split.info.image_format for name, split in splits.items()}
    if len(set(formats.values())) > 1:
        found = "; ".join(f"{name}: {images}" for name, images in formats.items())
        dataset = next(iter(splits.values())).info.name
        raise DataError(f"{dataset}: the images of the splits are not alike ({found}); convert those of one")


def refuse_problems(dataset: SegmentationDataset, split: str) -> None:
    """Refuse a split that is empty or incomplete.

    Raises:
        DataError: It is empty or incomplete; lists the first problems.
    """
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
