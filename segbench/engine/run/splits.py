"""Opens the splits that a run needs; imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from segbench.config.plan import Run
from segbench.data.base import DatasetInfo, SegmentationDataset
from segbench.data.folds.folds import Folds, open_folds
from segbench.data.open import less, open_dataset, refuse_mixed_images
from segbench.data.subset import take, take_fraction
from segbench.results.data_identity import DataIdentity


@dataclass(frozen=True)
class OpenedSplits:
    """The opened splits of a run.

    Attributes:
        run: The run.
        test: The split of the reported scores.
        train: The split to train on; None without training.
        validation: The split for validation scores; None if there is none.
        folds: The folds of the cross-validation; None without one.
    """

    run: Run
    test: SegmentationDataset
    train: SegmentationDataset | None
    validation: SegmentationDataset | None
    folds: Folds | None = None

    @property
    def info(self) -> DatasetInfo:
        """Classes, colours and channels of the data set."""
        return self.test.info

    @property
    def splits(self) -> dict[str, SegmentationDataset]:
        """The splits by their role: train, validation, test."""
        found = {"train": self.train, "validation": self.validation, "test": self.test}
        return {role: split for role, split in found.items() if split is not None}

    @property
    def fingerprints(self) -> dict[str, str]:
        """Hash of each split's content, by role."""
        return {role: split.fingerprint() for role, split in self.splits.items()}

    def identity(self, checks: Mapping[str, Mapping[str, Any]]) -> DataIdentity:
        """Return the hashes that identify the data; decodes no images.

        Args:
            checks: Findings of the data checks, by split key.
        """
        found = {role: checks.get(split.cache_key(), {}).get("pixel_digest") for role, split in self.splits.items()}
        return DataIdentity(self.fingerprints, {role: digest for role, digest in found.items() if digest is not None})


def open_splits(run: Run) -> OpenedSplits:
    """Open the splits that a run needs.

    Raises:
        DataError: A split is missing, empty or inconsistent.
    """
    entry, recipe, loader = run.recipe.dataset, run.recipe.train, run.loader
    if run.fold is not None:
        return splits_of_fold(run, open_folds(entry, loader=loader))
    train = validation = None
    if recipe:
        train = open_dataset(entry, entry.train_split, loader=loader, training=True)
        loader = less(loader, train)
    if recipe and entry.validation_split and recipe.validates:
        validation = open_dataset(entry, entry.validation_split, loader=loader)
        loader = less(loader, validation)
    test = open_dataset(entry, entry.test_split, loader=loader)
    opened = OpenedSplits(run, test=test, train=train, validation=validation)
    refuse_mixed_images(opened.splits)
    return opened


def splits_of_fold(run: Run, folds: Folds) -> OpenedSplits:
    """Return the splits of a run in a cross-validation.

    If anything is selected by validation scores, the next fold is the validation split and is not used for training. A
    trial of a tuning is scored on it and never sees the test fold.
    """
    fold, entry, recipe = run.fold, run.recipe.dataset, run.recipe.train
    assert fold is not None
    following = folds.next(fold)
    is_trial = run.role == "trial"
    held_out = [following] if is_trial or (recipe is not None and recipe.validates) else []
    train = take_fraction(folds.train(fold, but=held_out), entry.fraction)
    scored = {number: folds.test(number) for number in (fold, *held_out)}
    limited = {number: take(split, entry.limit) for number, split in scored.items()}
    return OpenedSplits(
        run,
        test=limited[following if is_trial else fold],
        train=train,
        validation=limited[following] if held_out and not is_trial else None,
        folds=folds,
    )
