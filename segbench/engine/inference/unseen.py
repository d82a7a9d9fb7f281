"""Detects and reports that a checkpoint is scored on its own training images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from segbench.config.component import DatasetEntry
from segbench.config.plan import Run
from segbench.config.sections.training import Loader
from segbench.data.base import SegmentationDataset
from segbench.data.folds.folds import Folds
from segbench.engine.checkpoint import CheckpointFacts
from segbench.engine.run.splits import open_splits
from segbench.errors import DataError, UsageError

_LOCAL = ("root", "download")
"""Options with the location of the data on this machine."""
_NOT_OF_FOLDS = (*_LOCAL, "limit", "fraction")
"""Options that do not change the folds."""
_OF_FOLDS = ("name", "train_split", "validation_split", "test_split", "folds", "fold_groups")
"""Options that define the folds; changes by other options show in a checkpoint's fingerprints."""
_SHOWN_IMAGES = 3
_NOT_KNOWN = "note: whether these images were trained on is not known"


def refuse_other_options(checkpoint: CheckpointFacts, entry: DatasetEntry) -> None:
    """Refuse data set options that lead to other folds than in training.

    The CSV file of the groups may have another path if the checkpoint has its fold's fingerprint.

    Raises:
        UsageError: Options differ; names them with their values in training.
    """
    before, now = (_options(part, checkpoint) for part in (checkpoint.run.recipe.dataset, entry))
    keys = dict.fromkeys([*before, *now]) if checkpoint.fold_fingerprint is None else _OF_FOLDS
    changed = [key for key in keys if key not in _NOT_OF_FOLDS and before.get(key) != now.get(key)]
    if changed:
        what = "; ".join(f"dataset.{key} is {now.get(key)}, in training {before.get(key)}" for key in changed)
        raise UsageError(
            f"{what}: in other folds, the checkpoint may be scored on images that it was trained on. Leave out what "
            "changes the folds (root=DIR is no such option), or name a whole split: --split SPLIT"
        )


def refuse_other_images(checkpoint: CheckpointFacts, folds: Folds) -> None:
    """Refuse a fold unless it holds the images left out of training; checkpoints without fingerprints pass.

    Raises:
        DataError: The images, labels or groups differ from those of the training.
    """
    fold, name = checkpoint.run.fold, folds.pool.info.name
    assert fold is not None
    known = checkpoint.pool_fingerprint, checkpoint.fold_fingerprint
    if known[0] not in (None, folds.pool.fingerprint()):
        what = "the pooled images or labels are not those that the checkpoint's folds were cut from"
    elif known[1] not in (None, folds.test(fold).fingerprint()):
        what = f"fold {fold} holds other images than in training, so that dataset.fold_groups has other groups"
    else:
        return
    raise DataError(
        f"{name}: {what}; the checkpoint may be scored on images that it was trained on. Give the data of training "
        "(--set root=DIR, --set fold_groups.file=FILE), or name a whole split: --split SPLIT"
    )


def warning_of_trained_images(
    checkpoint: CheckpointFacts, entry: DatasetEntry, dataset: SegmentationDataset
) -> str | None:
    """Return a warning if a split contains training images of the checkpoint; None if it does not.

    Args:
        checkpoint: The checkpoint.
        entry: The evaluated data set; there is no warning for other data sets than that of the training.
        dataset: The evaluated split.
    """
    run, known = checkpoint.run, checkpoint.fingerprints
    if run.recipe.train is None or entry.name != run.recipe.dataset.name:
        return None
    found = dataset.fingerprint() if known else None
    if known and known.get("test") == found:
        return None  # the run itself has seen to it that no training image is among them
    if known and known.get("train") == found:
        return _warning(dataset, list(dataset.names))
    try:
        train = _training_split(run, entry)
        if train is not None and "train" in known and known["train"] != train.fingerprint():
            return f"{_NOT_KNOWN}, as the training images here are not those of training"
    except DataError as error:
        return f"{_NOT_KNOWN}, as those of training are not here: {error}"
    trained = frozenset() if train is None else frozenset(train.image_ids)
    shared = [name for name, image in zip(dataset.names, dataset.image_ids, strict=True) if image in trained]
    return _warning(dataset, shared) if shared else None


def note_of_other_images(checkpoint: CheckpointFacts, dataset: SegmentationDataset) -> str | None:
    """Return a note if a test split is not the one that the checkpoint's run was tested on; None if it is."""
    known = checkpoint.fingerprints.get("test")
    if known is None or known == dataset.fingerprint():
        return None
    return (
        "note: these are not the images and labels that the checkpoint's run was tested on: files, names or classes "
        "differ, so that scores may differ, too"
    )


def _warning(dataset: SegmentationDataset, shared: Sequence[str]) -> str:
    shown = ", ".join(shared[:_SHOWN_IMAGES]) + (", …" if len(shared) > _SHOWN_IMAGES else "")
    return (
        f"warning: the checkpoint was trained on {len(shared):,} of these {len(dataset):,} images ({shown}); scores on "
        "them do not show how it performs on new images"
    )


def _options(entry: DatasetEntry, checkpoint: CheckpointFacts) -> dict[str, Any]:
    document: dict[str, Any] = entry.model_dump(mode="json")
    if checkpoint.fold_fingerprint is not None and "file" in document.get("fold_groups", {}):
        document["fold_groups"] = {**document["fold_groups"], "file": "the CSV file"}
    return document


def _training_split(run: Run, entry: DatasetEntry) -> SegmentationDataset | None:
    """Return the training split at the data's current location; decodes no images."""
    trained = run.recipe.dataset
    options = trained.options | {key: entry.options[key] for key in _LOCAL if key in entry.options}
    recipe = run.recipe.model_copy(update={"dataset": trained.model_copy(update={"options": options})})
    return open_splits(run.model_copy(update={"recipe": recipe, "loader": Loader()})).train
