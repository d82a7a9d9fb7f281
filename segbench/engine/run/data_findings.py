"""Messages about the data of a run, from the findings of the data checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from segbench.config.plan import Trial
from segbench.config.sections.training import Loader
from segbench.data.base import SegmentationDataset
from segbench.data.open import open_dataset
from segbench.data.validation.facts import from_json
from segbench.data.validation.findings import Finding
from segbench.data.validation.folds import judge_folds
from segbench.data.validation.judging import CheckedSplit, judge
from segbench.engine.run.splits import OpenedSplits

Checks = Mapping[str, Mapping[str, Any]]
"""Findings of each checked split, by the split's key."""


@dataclass(frozen=True)
class Apart:
    """The splits of a run's suite that must not share images.

    Attributes:
        splits: The splits by role: train, validation, test.
        titles: The name of each split.
        select: ``best`` if anything is selected by validation scores, as in ``train.select``.
        opened: The run, and the folds of its cross-validation.
    """

    splits: dict[str, SegmentationDataset]
    titles: dict[str, str]
    select: Literal["last", "best"]
    opened: OpenedSplits

    def findings(self, checks: Checks) -> list[Finding]:
        """Return all messages about the checked splits."""
        entry, folds = self.opened.run.recipe.dataset, self.opened.folds
        if folds is None:
            known = {role: split for role, split in self.splits.items() if split.cache_key() in checks}
            checked = {role: self._checked(role, split, checks) for role, split in known.items()}
            return judge(checked, entry, select=self.select)
        pool = checks.get(folds.pool.cache_key())
        if pool is None:
            return []
        keys = {fold: folds.test(fold).cache_key() for fold in range(1, folds.count + 1)}
        pixels = {fold: checks[key]["class_pixels"] for fold, key in keys.items() if key in checks}
        return judge_folds(folds, from_json(pool), pixels, entry)

    def _checked(self, role: str, split: SegmentationDataset, checks: Checks) -> CheckedSplit:
        entry, images = self.opened.run.recipe.dataset, len(split)
        cut = entry.fraction < 1 if role == "train" else entry.limit == images
        facts = from_json(checks[split.cache_key()])
        return CheckedSplit(self.titles[role], facts, split.names, split.image_ids, is_cut=cut)


def splits_of(opened: OpenedSplits) -> Apart:
    """Return the splits that a run opens."""
    entry, recipe = opened.run.recipe.dataset, opened.run.recipe.train
    titles = {"train": entry.train_split, "validation": entry.validation_split or "", "test": entry.test_split}
    chooses = recipe is not None and recipe.chooses_by_validation
    return Apart(opened.splits, titles, "best" if chooses else "last", opened)


def splits_apart(opened: OpenedSplits) -> Apart:
    """Return the splits of a run's suite; a trial is scored on the suite's validation split.

    Raises:
        DataError: The suite's test split is missing or invalid.
    """
    run, train = opened.run, opened.train
    if not isinstance(run.tuning, Trial) or train is None:
        return splits_of(opened)
    entry, reported_split = run.recipe.dataset, run.tuning.reported_split
    if opened.folds is not None and run.fold is not None:
        reported: SegmentationDataset = opened.folds.test(run.fold)
    else:
        reported = open_dataset(entry, reported_split, loader=Loader())
    titles = {"train": entry.train_split, "validation": entry.test_split, "test": reported_split}
    return Apart({"train": train, "validation": opened.test, "test": reported}, titles, "best", opened)
