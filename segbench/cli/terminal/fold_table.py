"""Shows the folds of a cross-validation: the images and groups of each, and the classes that it lacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from segbench.cli.terminal.output import tell, write_table
from segbench.config.component import DatasetEntry
from segbench.config.sections.training import Loader
from segbench.data.folds.folds import Folds, open_folds
from segbench.data.validation.folds import fold_notes, missing_classes
from segbench.errors import MissingDataError
from segbench.report.text import printable

_MOST_GROUPS = 6


@dataclass(frozen=True)
class FoldFacts:
    """What is known of one fold.

    Attributes:
        fold: Its number, from 1.
        images: How many images it has.
        groups: The groups in it; None without groups.
        missing_classes: Classes without a pixel in this fold but with pixels in others; None if the labels were not
            read.
    """

    fold: int
    images: int
    groups: tuple[str, ...] | None
    missing_classes: tuple[str, ...] | None


def fold_facts(folds: Folds, class_pixels: Mapping[int, Mapping[str, int]]) -> list[FoldFacts]:
    """Return what is known of each fold.

    Args:
        folds: The folds.
        class_pixels: By fold, the pixels of each class, for folds whose labels were read.
    """
    missing = missing_classes(class_pixels)
    found = []
    for fold in range(1, folds.count + 1):
        split = folds.test(fold)
        groups = folds.groups_in(split)
        found.append(
            FoldFacts(
                fold,
                len(split),
                None if groups is None else tuple(sorted(set(groups))),
                missing.get(fold),
            )
        )
    return found


def show_folds(facts: Sequence[FoldFacts]) -> None:
    """Write a table of folds."""
    columns: dict[str, list[str]] = {
        "fold": [str(one.fold) for one in facts],
        "images": [str(one.images) for one in facts],
    }
    if facts[0].groups is not None:
        columns["groups"] = [_listed(one.groups or ()) for one in facts]
    if all(one.missing_classes is not None for one in facts):
        columns["classes without pixels"] = [", ".join(map(printable, one.missing_classes or ())) for one in facts]
    write_table(list(columns), list(zip(*columns.values(), strict=True)), right=["fold", "images"])


def folds_of_plan(entry: DatasetEntry, checks: Mapping[str, Mapping[str, Any]]) -> list[FoldFacts]:
    """Return the folds of a plan; reads no labels.

    Args:
        entry: The suite's data set.
        checks: Findings of the data checks, by split key.

    Raises:
        DataError: A split is missing or incomplete, or the images cannot be cut as the suite says.
    """
    folds = open_folds(entry, loader=Loader())
    keys = {fold: folds.test(fold).cache_key() for fold in range(1, folds.count + 1)} if checks else {}
    return fold_facts(folds, {fold: checks[key]["class_pixels"] for fold, key in keys.items() if key in checks})


def show_folds_of_plan(entry: DatasetEntry, checks: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the folds of a plan, or that the data is missing.

    Raises:
        DataError: The data is incomplete, or cannot be cut as the suite says.
    """
    try:
        facts = folds_of_plan(entry, checks)
    except MissingDataError as error:
        tell(f"note: the folds are not shown: {error}")
        return
    show_folds(facts)
    known = {one.fold: one.missing_classes for one in facts if one.missing_classes is not None}
    for note in fold_notes(known) if len(known) == len(facts) else ():
        tell(f"note: {len(facts)} folds: {note}")


def _listed(groups: Sequence[str]) -> str:
    shown = ", ".join(map(printable, groups[:_MOST_GROUPS]))
    return f"{len(groups)}: {shown}" + (", …" if len(groups) > _MOST_GROUPS else "")
