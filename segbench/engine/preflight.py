"""Looks at everything a suite names before anything is trained: data, transforms, losses, networks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from segbench.config.plan import Run, digest
from segbench.data.base import SegmentationDataset
from segbench.data.check import DatasetReport, check_dataset
from segbench.data.pipeline import Pipeline
from segbench.engine.arithmetic import choose_device
from segbench.engine.events import Observer, Progress
from segbench.engine.losses import build_loss
from segbench.engine.materials import Materials, open_materials
from segbench.errors import DataError, MissingDataError, ModelRefusal, SuiteError, UsageError
from segbench.registry import MODELS


@dataclass(frozen=True)
class Preflight:
    """What was found.

    Attributes:
        fingerprints: For each protocol id, the hash of each split's content.
        splits: For each split's fingerprint, what was counted in it, as JSON values.
    """

    fingerprints: dict[str, dict[str, str]]
    splits: dict[str, dict[str, Any]]


def preflight(
    runs: Sequence[Run], known: frozenset[str], device: str, finished: frozenset[str], *, observer: Observer
) -> Preflight:
    """Check what the runs need.

    Args:
        runs: The runs of a suite.
        known: Fingerprints of splits that were found good before.
        device: Where the runs are to be done.
        finished: Ids of runs that are done; data that only they need may be gone.
        observer: Told of the progress.

    Raises:
        UsageError: Something is missing or wrong; the message says what and where.
    """
    choose_device(device)
    found = Preflight({}, {})
    for group in by_protocol(runs):
        try:
            materials = open_materials(group[0])
        except MissingDataError:
            if all(run.id in finished for run in group):
                continue
            raise
        found.fingerprints[group[0].recipe.protocol_id] = materials.fingerprints
        for name, split in materials.splits.items():
            if split.fingerprint() not in known | found.splits.keys():
                found.splits[split.fingerprint()] = summary(checked(split, name, observer), name)
        try_loss(materials)
        try_transforms(materials)
        try_models([run for run in group if run.id not in finished], materials)
    return found


def by_protocol(runs: Iterable[Run]) -> list[list[Run]]:
    """Group runs whose recipe is the same."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.recipe.protocol_id, []).append(run)
    return list(groups.values())


def checked(split: SegmentationDataset, name: str, observer: Observer) -> DatasetReport:
    """Read every image and label of a split.

    Raises:
        DataError: Some are unreadable or inconsistent; the first problems are listed.
    """
    report = check_dataset(split, progress=lambda done, total: observer(Progress("", "data", done, total, name)))
    if report.problems:
        shown = "\n  ".join(report.problems[:10])
        more = f"\n  … and {len(report.problems) - 10} more" if len(report.problems) > 10 else ""
        raise DataError(f"{split.info.name}, split {name!r}: {len(report.problems)} problems:\n  {shown}{more}")
    return report


def summary(report: DatasetReport, split: str) -> dict[str, Any]:
    """Return what was counted in a split as JSON values."""
    return {
        "dataset": report.name,
        "split": split,
        "images": report.images,
        "sizes": {f"{height}x{width}": count for (height, width), count in report.sizes.items()},
        "class_pixels": dict(zip(report.classes, report.class_pixels, strict=True)),
        "void_pixels": report.void_pixels,
    }


def try_transforms(materials: Materials) -> None:
    """Transform the first image of each split, as in training and as in evaluation.

    Raises:
        UsageError: A step is impossible or not allowed there.
    """
    materials.input_size()
    if materials.train is not None:
        pipeline = Pipeline(materials.run.recipe.transforms.train, training=True)
        pipeline(materials.train.read(0), (materials.run.seed, 1, 0))
        if len(materials.training_loader()) == 0:
            raise DataError("not one batch in an epoch")


def try_loss(materials: Materials) -> None:
    """Build the loss.

    Raises:
        UsageError: It does not fit the classes.
    """
    train = materials.run.recipe.train
    if train is None or materials.train is None:
        return
    classes = len(materials.info.classes)
    build_loss(train.loss, classes=classes, median_frequency=lambda: [1.0] * classes)


def try_models(runs: Sequence[Run], materials: Materials) -> None:
    """Build each network without memory, so that a wrong option is found before an hour of training.

    Raises:
        SuiteError: An option has an impossible value, or a file of weights is missing.
    """
    seen: set[str] = set()
    for run in runs:
        key = digest(run.model.model_dump(mode="json"))
        if key not in seen:
            seen.add(key)
            try_model(run, materials)


def try_model(run: Run, materials: Materials) -> None:
    """Build one network on the meta device; a refusal is left to the run, where it becomes a row."""
    model, info = run.model, materials.info
    if model.weights and not Path(model.weights).is_file():
        raise SuiteError(f"there is no file {model.weights}", key=f"models ({model.label}): weights")
    options = {**model.options, **({"pretrained": False} if "pretrained" in model.options else {})}
    try:
        with torch.device("meta"):
            MODELS.create(model.name, len(info.classes), info.channels, **options)
    except ModelRefusal:
        return
    except UsageError as error:
        raise SuiteError(str(error), key=f"models ({model.label})") from None
