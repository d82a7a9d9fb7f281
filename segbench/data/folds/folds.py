"""Divides images into the folds of a cross-validation."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from segbench.config.component import DatasetEntry
from segbench.config.sections.training import Loader
from segbench.data.base import SegmentationDataset
from segbench.data.datasets.pool import names_in_splits, open_pool
from segbench.data.folds.groups import groups_of, with_whole_stacks
from segbench.data.open import cached
from segbench.data.subset import Subset
from segbench.errors import DataError

_SHOWN_GROUPS = 8


@dataclass(frozen=True, eq=False)
class Folds:
    """The images of a cross-validation, and the fold of each.

    Attributes:
        pool: All images.
        numbers: The fold of each image, from 1.
        groups: The group of each image; None without groups. Pages of one file are of one group.
        count: Number of folds.
    """

    pool: SegmentationDataset
    numbers: tuple[int, ...]
    groups: tuple[str, ...] | None
    count: int

    def test(self, fold: int) -> Subset:
        """Return the images of a fold."""
        return self._where({fold})

    def train(self, fold: int, *, but: Sequence[int] = ()) -> Subset:
        """Return the images of all folds except the given ones."""
        return self._where(set(range(1, self.count + 1)) - {fold, *but})

    def next(self, fold: int) -> int:
        """Return the validation fold of networks that are tested on a given fold."""
        return fold % self.count + 1

    def groups_in(self, split: SegmentationDataset) -> tuple[str, ...] | None:
        """Return the group of each image of a split of the pool; None without groups."""
        if self.groups is None:
            return None
        by_name = dict(zip(self.pool.names, self.groups, strict=True))
        return tuple(by_name[name] for name in split.names)

    def _where(self, folds: set[int]) -> Subset:
        return Subset(self.pool, [index for index, number in enumerate(self.numbers) if number in folds])


def open_folds(entry: DatasetEntry, *, loader: Loader) -> Folds:
    """Pool the images of a data set and divide them into folds.

    Args:
        entry: A suite's data set, with ``folds``.
        loader: Cache settings; all runs share one cache of the pooled images.

    Raises:
        DataError: A split is missing or incomplete, an image has no group, or there are more folds than images or
            groups.
    """
    pool = open_pool(entry)
    return cut(cached(pool, loader), entry, own_names=names_in_splits(pool))


def cut(pool: SegmentationDataset, entry: DatasetEntry, *, own_names: Sequence[str] | None = None) -> Folds:
    """Divide pooled images into the folds of an entry.

    Args:
        pool: The images.
        entry: A suite's data set, with ``folds``.
        own_names: The images' names in their own splits, from which groups are derived; default: the names in the pool.

    Raises:
        DataError: An image has no group, pages of one file are of two, or there are more folds than images or groups.
    """
    assert entry.folds is not None
    names = pool.names
    groups = None if entry.fold_groups is None else groups_of(names, entry.fold_groups, own_names=own_names)
    if entry.options.get("pages") == "each":
        groups = with_whole_stacks(names, groups)
    different = sorted(set(names if groups is None else groups))
    if len(different) < entry.folds:
        what = "images" if groups is None else "groups" if entry.fold_groups is not None else "stacks"
        shown = ", ".join(different[:_SHOWN_GROUPS])
        what_to_do = (
            f"set dataset.folds to {len(different)} or less" if len(different) > 1 else "two at least are needed"
        )
        raise DataError(
            f"{pool.info.name}: dataset.folds is {entry.folds}, but {_there_are(len(different), what)} ({shown}); each "
            f"fold needs at least one: {what_to_do}"
        )
    return Folds(pool, assigned(names if groups is None else groups, entry.folds), groups, entry.folds)


def _there_are(count: int, what: str) -> str:
    return f"there is 1 {what.removesuffix('s')}" if count == 1 else f"there are {count} {what}"


def assigned(groups: Sequence[str], folds: int) -> tuple[int, ...]:
    """Return the fold of each image, from 1.

    Groups are assigned in order of size, largest first, each to the fold with the fewest images so far, as in
    scikit-learn's ``GroupKFold``. Equal groups are ordered by the SHA-256 of their names, which is independent of
    version, machine and file order; scikit-learn's shuffles do not guarantee that.

    Args:
        groups: The group of each image; without groups, its name.
        folds: Number of folds, at most the number of groups.
    """
    images = Counter(groups)
    order = sorted(images, key=lambda group: (-images[group], hashlib.sha256(group.encode()).digest()))
    sizes = [0] * folds
    number: dict[str, int] = {}
    for group in order:
        lightest = sizes.index(min(sizes))
        sizes[lightest] += images[group]
        number[group] = lightest + 1
    return tuple(number[group] for group in groups)
