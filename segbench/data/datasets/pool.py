"""The pooled images of several splits, which a cross-validation divides into folds."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path

from segbench.config.component import DatasetEntry
from segbench.data.base import Remark, Sample, SegmentationDataset, hash_of
from segbench.data.masks.split_palettes import DifferingPalettes, differing_splits
from segbench.data.open import create_dataset, refuse_mixed_images, refuse_problems
from segbench.data.subset import Subset
from segbench.errors import DataError

_HINT = (
    "; with dataset.folds, the images of train_split, validation_split and test_split are pooled: give train_split and "
    "test_split one name where all images are in one split"
)


class Pool(SegmentationDataset):
    """The images of several splits, concatenated.

    Args:
        splits: The splits by name; no two share an image. If images of two splits have the same name, all names get
            their split as prefix, such as ``train/0001``.
    """

    def __init__(self, splits: dict[str, SegmentationDataset]) -> None:
        self.splits = splits
        self.info = next(iter(splits.values())).info
        self._places = [(split, index) for split in splits.values() for index in range(len(split))]
        names = [name for split in splits.values() for name in split.names]
        if len(set(names)) < len(names):
            names = [f"{title}/{name}" for title, split in splits.items() for name in split.names]
        self._names = tuple(names)

    @property
    def names(self) -> Sequence[str]:
        """The images' names."""
        return self._names

    @property
    def names_in_splits(self) -> Sequence[str]:
        """The images' names in their own splits; may contain duplicates."""
        return [name for split in self.splits.values() for name in split.names]

    @property
    def image_ids(self) -> Sequence[str]:
        """Unique ids of the images."""
        return list(chain.from_iterable(split.image_ids for split in self.splits.values()))

    @property
    def problems(self) -> Sequence[str]:
        """Problems of all splits, and palettes that differ between splits."""
        own = list(dict.fromkeys(chain.from_iterable(split.problems for split in self.splits.values())))
        return own or [text for _, text in self._contradictions]

    @cached_property
    def _contradictions(self) -> list[DifferingPalettes]:
        return list(differing_splits(self.splits, {split: split for split in self.splits}))

    @property
    def index_masks(self) -> Sequence[Path]:
        """Mask files whose stored numbers are read."""
        return list(chain.from_iterable(split.index_masks for split in self.splits.values()))

    def remarks(self, indices: Sequence[int]) -> Sequence[Remark]:
        """Return remarks about some of the images, split by split."""
        chosen = {
            title: [place for one, place in map(self._places.__getitem__, indices) if one is split]
            for title, split in self.splits.items()
        }
        return [
            Remark(kind, f"{title}: {text}")
            for title, split in self.splits.items()
            for kind, text in split.remarks(chosen[title])
        ]

    def read(self, index: int) -> Sample:
        """Return one image under its name in the pool."""
        split, place = self._places[index]
        return split.read(place)._replace(name=self._names[index])

    def fingerprint(self) -> str:
        """Return a hash of the splits' fingerprints and the names."""
        return hash_of([*(split.fingerprint() for split in self.splits.values()), self._names])

    def cache_key(self) -> str:
        """Return a hash of the splits' keys and the names."""
        return hash_of([*(split.cache_key() for split in self.splits.values()), self._names])

    def prepare(self) -> None:
        """Prepare every split."""
        for split in self.splits.values():
            split.prepare()


def create_pool(entry: DatasetEntry) -> SegmentationDataset:
    """Return the images of all splits of a data set's entry without duplicates, with the splits' problems.

    A split whose images are all in an earlier one (one folder may hold all images) adds none.

    Raises:
        DataError: A split is unknown, or the data is missing.
    """
    try:
        created = {split: create_dataset(entry, split) for split in entry.named_splits}
    except DataError as error:
        raise type(error)(f"{error}{_HINT}") from None
    refuse_mixed_images(created)
    splits: dict[str, SegmentationDataset] = {}
    seen: set[str] = set()
    for title, split in created.items():
        fresh = [index for index, image in enumerate(split.image_ids) if image not in seen]
        seen.update(split.image_ids)
        if fresh or not splits:
            splits[title] = split if len(fresh) == len(split) else Subset(split, fresh)
    return Pool(splits) if len(splits) > 1 else next(iter(splits.values()))


def names_in_splits(pool: SegmentationDataset) -> Sequence[str]:
    """Return the names of pooled images in their own splits."""
    return pool.names_in_splits if isinstance(pool, Pool) else pool.names


def open_pool(entry: DatasetEntry) -> SegmentationDataset:
    """Like ``create_pool``, but raises an error if there are problems.

    Raises:
        DataError: A split is unknown, missing or incomplete, or all are empty.
    """
    pool = create_pool(entry)
    refuse_problems(pool, ", ".join(entry.named_splits))
    return pool
