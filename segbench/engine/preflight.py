"""Looks at everything a suite names before anything is trained: data, transforms, losses, networks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch

from segbench.config.component import ModelEntry
from segbench.config.plan import Run, Trial, digest
from segbench.config.sections import Loader
from segbench.data.base import DatasetInfo, SegmentationDataset
from segbench.data.check import DatasetReport, check_dataset
from segbench.data.open import open_dataset
from segbench.data.overlap import check_disjoint
from segbench.engine.arithmetic import choose_device
from segbench.engine.events import Observer, Progress
from segbench.engine.losses import build_loss
from segbench.engine.materials import Materials, open_materials
from segbench.engine.optimizers import create_optimizer
from segbench.engine.schedules import create_schedule
from segbench.engine.train import steps_per_epoch, total_steps
from segbench.errors import DataError, MissingDataError, ModelRefusal, SuiteError, UsageError, WeightsError
from segbench.models.build import check_input, check_pretrained, skeleton


@dataclass(frozen=True)
class Preflight:
    """What was found.

    Attributes:
        fingerprints: For the protocol id of each run, the hash of each split's content, by the split's role.
        splits: For each split's key (its content and how labels are read), what was counted in it, as JSON values.
        refusals: For each run whose network cannot take the images, why.
    """

    fingerprints: dict[str, dict[str, str]]
    splits: dict[str, dict[str, Any]]
    refusals: dict[str, str]


def preflight(
    runs: Sequence[Run],
    *,
    known: Mapping[str, dict[str, Any]],
    device: str,
    finished: frozenset[str],
    observer: Observer,
) -> Preflight:
    """Check what the runs need.

    Args:
        runs: The runs of a suite.
        known: What was counted before in splits that were found good, by key.
        device: Where the runs are to be done.
        finished: Ids of runs that are done; data that only they need may be gone.
        observer: Told of the progress.

    Raises:
        UsageError: Something is missing or wrong; the message says what and where.
    """
    choose_device(device)
    found = Preflight({}, dict(known), {})
    for group in by_protocol(runs):
        try:
            materials = open_materials(group[0])
            apart = splits_apart(materials)
        except MissingDataError:
            if all(run.id in finished for run in group):
                continue
            raise
        found.fingerprints.update(dict.fromkeys((run.protocol_id for run in group), materials.fingerprints))
        check_splits(apart, found.splits, observer)
        try_recipe(materials)
        found.refusals.update(try_models([run for run in group if run.id not in finished], materials, found.splits))
    return found


class Apart(NamedTuple):
    """The splits of a suite.

    Attributes:
        splits: By what they are for: train, validation, test.
        select: Whether anything is chosen by validation scores, as ``train.select`` says it.
    """

    splits: dict[str, SegmentationDataset]
    select: Literal["last", "best"]


def splits_apart(materials: Materials) -> Apart:
    """Return the splits of a run's suite; what a trial is scored on is the suite's validation split.

    Raises:
        DataError: The split that the suite reports is missing or wrong.
    """
    run, train = materials.run, materials.train
    if isinstance(run.tuning, Trial) and train is not None:
        reported = open_dataset(run.recipe.dataset, run.tuning.reported_split, loader=Loader())
        return Apart({"train": train, "validation": materials.test, "test": reported}, "best")
    return Apart(materials.splits, run.recipe.train.select if run.recipe.train else "last")


def check_splits(found: Apart, splits: dict[str, dict[str, Any]], observer: Observer) -> None:
    """Read through the splits that are not known to be good, and see that they share no image.

    Raises:
        DataError: An image or label is unreadable or inconsistent, or lies in two splits.
    """
    check_disjoint(found.splits, select=found.select)
    for role, split in found.splits.items():
        if split.cache_key() not in splits:
            splits[split.cache_key()] = summary(checked(split, role, observer), role)


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


def try_recipe(materials: Materials) -> None:
    """Build the loss, transform the first images, and set up an optimizer and its schedule.

    Raises:
        UsageError: One of them is impossible, or the loss does not fit the classes.
    """
    materials.first_test_size()
    train = materials.run.recipe.train
    if train is None:
        return
    classes = len(materials.info.classes)
    build_loss(train.loss, classes=classes, median_frequency=lambda: [1.0] * classes)
    materials.first_training_size()
    batches = len(materials.training_loader())
    optimizer = create_optimizer(train.optimizer, [torch.nn.Parameter(torch.zeros(1))])
    steps = total_steps(train, batches)
    create_schedule(train.schedule, optimizer, total_steps=steps, steps_per_epoch=steps_per_epoch(train, batches))


def try_models(runs: Sequence[Run], materials: Materials, splits: Mapping[str, Any]) -> dict[str, str]:
    """Build each network without memory, so that what is impossible is found before an hour of training.

    Returns:
        For each run whose network cannot take the images, why.

    Raises:
        SuiteError: An option has an impossible value, or a file of weights is missing.
    """
    counted = splits[materials.test.cache_key()]["sizes"]
    sizes = materials.seen_sizes([read_size(size) for size in counted])
    tried: dict[str, str | None] = {}
    for run in runs:
        key = digest(run.model.model_dump(mode="json"))
        if key not in tried:
            tried[key] = refusal(run, materials.info, sizes)
    reasons = {run.id: tried[digest(run.model.model_dump(mode="json"))] for run in runs}
    return {run_id: reason for run_id, reason in reasons.items() if reason is not None}


def refusal(run: Run, info: DatasetInfo, sizes: Iterable[tuple[int, int]]) -> str | None:
    """Return why a network cannot take the images; None when nothing speaks against it."""
    try:
        check_weights(run.model)
        network = skeleton(run.model, classes=len(info.classes), channels=info.channels)
        for size in sorted(sizes):
            check_input(network, *size)
    except ModelRefusal as error:
        return str(error)
    except UsageError as error:
        raise SuiteError(str(error), key=f"models ({run.model.label})") from None
    except Exception:  # a foreign network may not build without memory; its run will show what it can
        return None
    return None


def check_weights(model: ModelEntry) -> None:
    """Look for the weights that a network starts from.

    Raises:
        WeightsError: A file is missing, or these weights cannot fit the network's options.
    """
    if model.weights and not Path(model.weights).is_file():
        raise WeightsError(f"weights: there is no file {model.weights}")
    check_pretrained(model)


def read_size(text: str) -> tuple[int, int]:
    """Return the height and width in ``"360x480"``."""
    height, width = text.split("x")
    return int(height), int(width)
