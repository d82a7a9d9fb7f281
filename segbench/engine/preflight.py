"""Looks at what a suite needs before anything is trained: its data and, where runs are to be done, what they build."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from segbench.config.plan import Run, Trial
from segbench.config.sections import Loader
from segbench.data.base import SegmentationDataset
from segbench.data.check import DatasetReport, check_dataset
from segbench.data.fold_check import check_folds
from segbench.data.open import open_dataset
from segbench.data.overlap import check_disjoint
from segbench.engine.events import Notice, Observer, Progress
from segbench.engine.splits import OpenedSplits, open_splits, splits_of_fold
from segbench.errors import DataError, MissingDataError
from segbench.results.data_identity import DataIdentity


@dataclass(frozen=True)
class Preflight:
    """What was found.

    Attributes:
        data: By id of each run, what its data is recognised by.
        splits: For each split's key (its content and how labels are read), what was counted in it, as JSON values.
        refusals: For each run whose network cannot take the images, why.
        classes: The numbers of classes of the data that is still to be trained or tested on.
    """

    data: dict[str, DataIdentity]
    splits: dict[str, dict[str, Any]]
    refusals: dict[str, str]
    classes: set[int] = field(default_factory=set)


def preflight(
    runs: Sequence[Run],
    *,
    known: Mapping[str, dict[str, Any]],
    device: str | None,
    finished: frozenset[str],
    observer: Observer,
) -> Preflight:
    """Check what the runs need.

    Args:
        runs: The runs of a suite.
        known: What was counted before in splits that were found good, by key.
        device: Where the runs are to be done; None where that is another machine.
        finished: Ids of runs that are done; data that only they need may be gone.
        observer: Told of the progress.

    Raises:
        UsageError: Something is missing or wrong; the message says what and where.
    """
    if device is not None:
        check_device(device, [run for run in runs if run.id not in finished], observer)
    found = Preflight({}, dict(known), {})
    for group in by_data(runs):
        try:
            opened = open_splits(group[0])
            apart = splits_apart(opened)
        except MissingDataError:
            if all(run.id in finished for run in group):
                continue
            raise
        todo = [run for run in group if run.id not in finished]
        if todo:
            forget_undigested(apart, found.splits)
        check_splits(apart, found.splits, observer)
        found.data.update(dict.fromkeys((run.id for run in group), opened.identity(found.splits)))
        if todo:
            from segbench.engine.feasible import try_models, try_recipe  # imports all there is to build
            from segbench.engine.materials import materials_of

            materials = materials_of(opened)
            found.classes.add(len(materials.info.classes))
            for remark in try_recipe(materials):
                observer(Notice(remark))
            found.refusals.update(try_models(todo, materials, found.splits))
    return found


def check_device(name: str, todo: Sequence[Run], observer: Observer) -> None:
    """See that there is a device for what is to be done, and tell what is slow on it.

    Raises:
        UsageError: There is no such device here.
    """
    if not todo:
        return
    from segbench.engine.arithmetic import choose_device, computes_bf16  # imports torch

    device = choose_device(name)
    parts = [part for run in todo for part in (run.recipe.train, run.recipe.evaluate) if part is not None]
    if any(part.precision == "bf16" for part in parts) and not computes_bf16(device):
        slow = f"precision: bf16 is imitated on this {device.type}, which takes longer than fp32"
        observer(Notice(f"{slow}; a processor with AMX or AVX-512 BF16, or a newer GPU, computes in it"))


class Apart(NamedTuple):
    """The splits of a suite.

    Attributes:
        splits: By what they are for: train, validation, test.
        select: ``best`` where anything is chosen by validation scores, as ``train.select`` says it.
        opened: The run, and the folds of its cross-validation.
    """

    splits: dict[str, SegmentationDataset]
    select: Literal["last", "best"]
    opened: OpenedSplits


def splits_apart(opened: OpenedSplits) -> Apart:
    """Return the splits of a run's suite; what a trial is scored on is the suite's validation split.

    Raises:
        DataError: The split that the suite reports is missing or wrong.
    """
    run, train = opened.run, opened.train
    if isinstance(run.tuning, Trial) and train is not None:
        if opened.folds is not None and run.fold is not None:
            reported: SegmentationDataset = opened.folds.test(run.fold)
        else:
            reported = open_dataset(run.recipe.dataset, run.tuning.reported_split, loader=Loader())
        return Apart({"train": train, "validation": opened.test, "test": reported}, "best", opened)
    chooses = run.recipe.train is not None and run.recipe.train.chooses_by_validation
    return Apart(opened.splits, "best" if chooses else "last", opened)


def check_splits(found: Apart, splits: dict[str, dict[str, Any]], observer: Observer) -> None:
    """Read through the splits that are not known to be good, and see that they share no image.

    Raises:
        DataError: An image or label is unreadable or inconsistent, or lies in two splits.
    """
    check_disjoint(found.splits, select=found.select)
    if any(split.cache_key() not in splits for split in found.splits.values()):
        splits.update(read_folds(found.opened, observer))
    for role, split in found.splits.items():
        if split.cache_key() not in splits:
            splits[split.cache_key()] = summary(checked(split, role, observer), role)


def read_folds(opened: OpenedSplits, observer: Observer) -> dict[str, dict[str, Any]]:
    """Read the images of a cross-validation once for all its folds; return what was counted in each part, by key.

    Without cross-validation, nothing is read.

    Raises:
        DataError: An image or label is unreadable or inconsistent, or one image lies in two folds.
    """
    folds, run = opened.folds, opened.run
    if folds is None:
        return {}
    by_key: dict[str, tuple[str, SegmentationDataset]] = {}
    for fold in range(1, folds.count + 1):
        for role, split in splits_of_fold(run.model_copy(update={"fold": fold}), folds).splits.items():
            by_key.setdefault(split.cache_key(), (f"{role} of fold {fold}", split))
        by_key.setdefault(folds.test(fold).cache_key(), (f"fold {fold}", folds.test(fold)))
    found = check_folds(
        folds,
        [split for _, split in by_key.values()],
        progress=lambda done, total: observer(Progress("", "data", done, total, "folds")),
    )
    problems = dict.fromkeys(problem for report in found.reports.values() for problem in report.problems)
    refuse([*problems, *found.shared], folds.pool, "folds")
    return {key: summary(found.reports[key], name) for key, (name, _) in by_key.items()}


def forget_undigested(opened: Apart, splits: dict[str, dict[str, Any]]) -> None:
    """Drop what an earlier version found of some splits: it has no pixel digests, and new records are to have them."""
    for key in (split.cache_key() for split in opened.splits.values()):
        if "pixel_digest" not in splits.get(key, {}):
            splits.pop(key, None)


def by_data(runs: Iterable[Run]) -> list[list[Run]]:
    """Group runs whose recipe is the same and, in a cross-validation, the fold."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.data_key, []).append(run)
    return list(groups.values())


def checked(split: SegmentationDataset, name: str, observer: Observer) -> DatasetReport:
    """Read every image and label of a split.

    Raises:
        DataError: Some are unreadable or inconsistent; the first problems are listed.
    """
    report = check_dataset(split, progress=lambda done, total: observer(Progress("", "data", done, total, name)))
    refuse(report.problems, split, name)
    return report


def refuse(problems: Sequence[str], split: SegmentationDataset, name: str) -> None:
    """Raise what is wrong with a split, if anything is.

    Raises:
        DataError: The first problems are listed.
    """
    if problems:
        shown = "\n  ".join(problems[:10])
        more = f"\n  … and {len(problems) - 10} more" if len(problems) > 10 else ""
        raise DataError(f"{split.info.name}, split {name!r}: {len(problems)} problems:\n  {shown}{more}")


def summary(report: DatasetReport, split: str) -> dict[str, Any]:
    """Return what was counted in a split as JSON values."""
    return {
        "dataset": report.name,
        "split": split,
        "images": report.images,
        "sizes": {f"{height}x{width}": count for (height, width), count in report.sizes.items()},
        "class_pixels": dict(zip(report.classes, report.class_pixels, strict=True)),
        "void_pixels": report.void_pixels,
        "pixel_digest": report.pixel_digest,
    }
