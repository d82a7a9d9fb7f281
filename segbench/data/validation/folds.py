"""Reads the pooled images of a cross-validation once, and judges its folds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from segbench.config.component import DatasetEntry
from segbench.data.base import SegmentationDataset
from segbench.data.folds.folds import Folds
from segbench.data.validation.check import DatasetReport, Progress, check_parts
from segbench.data.validation.equal_pictures import repeated
from segbench.data.validation.facts import SplitFacts
from segbench.data.validation.findings import Finding, Level, problems_first
from segbench.data.validation.judging import CheckedSplit, Judge, judge

_SHOWN = 3


def check_folds(
    folds: Folds, parts: Iterable[SegmentationDataset], *, progress: Progress | None = None
) -> dict[str, DatasetReport]:
    """Read every image of a cross-validation once; problems are collected, not raised.

    Args:
        folds: The folds.
        parts: What is to be reported beside all images together: folds, or what is trained on beside them.
        progress: Called after each image.

    Returns:
        By the ``cache_key`` of each part, and that of the pool, what it holds.
    """
    place = {name: index for index, name in enumerate(folds.pool.names)}
    indices = {part.cache_key(): [place[name] for name in part.names] for part in parts}
    return check_parts(folds.pool, {**indices, folds.pool.cache_key(): range(len(folds.pool))}, progress=progress)


def judge_folds(
    folds: Folds, pool: SplitFacts, class_pixels: Mapping[int, Mapping[str, int]], entry: DatasetEntry
) -> list[Finding]:
    """Return all that is to be said about a cross-validation that was read through.

    Args:
        folds: The folds.
        pool: What all images together hold.
        class_pixels: By fold, the pixels of each class.
        entry: The suite's data set, which may allow some kinds.
    """
    whole = CheckedSplit(f"{folds.count} folds", pool)
    found = [*judge({"all": whole}, entry), *_in_several_folds(folds, whole, entry)]
    notes = [*_stacks(folds, entry), *fold_notes(missing_classes(class_pixels)), *_unlabelled(class_pixels)]
    return problems_first([*found, *(Finding("fold", Level.NOTE, whole.title, note) for note in notes)])


def missing_classes(class_pixels: Mapping[int, Mapping[str, int]]) -> dict[int, tuple[str, ...]]:
    """Return, for each fold, the classes of which it has no pixel, though another one has.

    Args:
        class_pixels: By fold, the pixels of each class, for folds whose labels were read.
    """
    everywhere = {name for pixels in class_pixels.values() for name, count in pixels.items() if count}
    return {
        fold: tuple(name for name, count in pixels.items() if not count and name in everywhere)
        for fold, pixels in class_pixels.items()
    }


def fold_notes(missing: Mapping[int, Sequence[str]]) -> list[str]:
    """Return what is probably not meant with folds, given the classes that each fold lacks."""
    lacking: dict[str, list[int]] = {}
    for fold, names in missing.items():
        for name in names:
            lacking.setdefault(name, []).append(fold)
    notes = []
    for name, folds in lacking.items():
        alone = next((fold for fold in missing if fold not in folds), None)
        if len(folds) == len(missing) - 1:
            notes.append(
                f"{name} occurs in fold {alone} only: networks that are tested on it never see the class in training"
            )
        else:
            notes.append(f"no pixel of {name} is in {_named(folds)}; the scores pool all folds")
    return notes


def _unlabelled(class_pixels: Mapping[int, Mapping[str, int]]) -> Iterator[str]:
    empty = [fold for fold, pixels in class_pixels.items() if not sum(pixels.values())]
    if empty and len(empty) < len(class_pixels):
        yield f"all pixels of {_named(empty)} are void"


def _stacks(folds: Folds, entry: DatasetEntry) -> Iterator[str]:
    """Yield that the pages of each file stay together, where no groups were asked for."""
    if entry.fold_groups is None and folds.groups is not None:
        count = len(set(folds.groups))
        yield (
            f"the {len(folds.groups):,} pages are of {count:,} files, and the pages of a file stay in one fold; if "
            "several files show one patient or place, give dataset.fold_groups"
        )


def _in_several_folds(folds: Folds, whole: CheckedSplit, entry: DatasetEntry) -> Iterator[Finding]:
    """Yield one finding for each picture that lies in several folds."""
    numbers, names = folds.numbers, folds.pool.names
    for same in repeated(whole.facts.pictures):
        places = sorted({numbers[index] for index in same})
        if len(places) > 1:
            text = (
                f"{', '.join(names[index] for index in same[:_SHOWN])}: the same image in the folds "
                f"{', '.join(map(str, places))}, so that it would be trained on and tested"
            )
            remedy = "Delete all but one, or put them into one group (dataset.fold_groups)"
            yield Judge(entry).judged("same-picture", whole, text, remedy=remedy)


def _named(folds: Sequence[int]) -> str:
    return f"{'fold' if len(folds) == 1 else 'folds'} {', '.join(map(str, folds))}"
