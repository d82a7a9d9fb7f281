"""The splits that a run needs, opened, by what they are for; it imports nothing that computes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from segbench.config.plan import Run
from segbench.data.base import DatasetInfo, SegmentationDataset
from segbench.data.open import less, open_dataset
from segbench.results.data_identity import DataIdentity


@dataclass(frozen=True)
class OpenedSplits:
    """The opened splits of a run.

    Attributes:
        run: The run.
        test: The split that is reported.
        train: The split to train on; None when nothing is trained.
        validation: The split for validation scores, when there is one.
    """

    run: Run
    test: SegmentationDataset
    train: SegmentationDataset | None
    validation: SegmentationDataset | None

    @property
    def info(self) -> DatasetInfo:
        """Classes, colours and channels."""
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
        """Return what the data is recognised by; nothing is decoded.

        Args:
            checks: What was found when splits were read through, by their key.
        """
        found = {role: checks.get(split.cache_key(), {}).get("pixel_digest") for role, split in self.splits.items()}
        return DataIdentity(self.fingerprints, {role: digest for role, digest in found.items() if digest is not None})


def open_splits(run: Run) -> OpenedSplits:
    """Open the splits that a run needs.

    Raises:
        DataError: A split is missing, empty or inconsistent.
    """
    entry, recipe, loader = run.recipe.dataset, run.recipe.train, run.loader
    train = validation = None
    if recipe:
        train = open_dataset(entry, entry.train_split, loader=loader, training=True)
        loader = less(loader, train)
    if recipe and entry.validation_split and (recipe.validate_every is not None or recipe.select == "best"):
        validation = open_dataset(entry, entry.validation_split, loader=loader)
        loader = less(loader, validation)
    test = open_dataset(entry, entry.test_split, loader=loader)
    return OpenedSplits(run, test=test, train=train, validation=validation)
