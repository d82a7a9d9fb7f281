"""Shows the folds of a cross-validation: the images and groups of each, and the classes that it lacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from segbench.cli.output import tell, write_table
from segbench.report.text import printable

if TYPE_CHECKING:
    from segbench.config.component import DatasetEntry
    from segbench.data.folds import Folds

_MOST_GROUPS = 6


@dataclass(frozen=True)
class FoldFacts:
    """What is known of one fold.

    Attributes:
        fold: Its number, from 1.
        images: How many images it has.
        groups: The groups in it; None without groups.
        missing_classes: Classes of which no pixel is in it, though some are in another fold; None where the labels
            were not read.
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
    everywhere = {name for pixels in class_pixels.values() for name, count in pixels.items() if count}
    found = []
    for fold in range(1, folds.count + 1):
        split, pixels = folds.test(fold), class_pixels.get(fold)
        groups = folds.groups_in(split)
        found.append(
            FoldFacts(
                fold,
                len(split),
                None if groups is None else tuple(sorted(set(groups))),
                None if pixels is None else tuple(name for name in pixels if not pixels[name] and name in everywhere),
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


def notes_on_folds(facts: Sequence[FoldFacts]) -> list[str]:
    """Return what is not wrong with folds but probably not meant."""
    lacking: dict[str, list[int]] = {}
    for one in facts:
        for name in one.missing_classes or ():
            lacking.setdefault(name, []).append(one.fold)
    notes = []
    for name, folds in lacking.items():
        alone = next((one.fold for one in facts if one.fold not in folds), None)
        if len(folds) == len(facts) - 1:
            notes.append(
                f"{printable(name)} occurs in fold {alone} only: networks that are tested on it never see the class in "
                "training"
            )
        else:
            notes.append(f"no pixel of {printable(name)} is in {_folds(folds)}; the scores pool all folds")
    return notes


def folds_of_plan(entry: DatasetEntry, checks: Mapping[str, Mapping[str, Any]]) -> list[FoldFacts]:
    """Return what a plan shows of its folds; no label is read.

    Args:
        entry: The suite's data set.
        checks: What was found when splits were read through, by their key.

    Raises:
        DataError: A split is missing or incomplete, or the images cannot be cut as the suite says.
    """
    from segbench.config.sections import Loader
    from segbench.data.folds import open_folds

    folds = open_folds(entry, loader=Loader())
    keys = {fold: folds.test(fold).cache_key() for fold in range(1, folds.count + 1)} if checks else {}
    return fold_facts(folds, {fold: checks[key]["class_pixels"] for fold, key in keys.items() if key in checks})


def show_folds_of_plan(entry: DatasetEntry, checks: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the folds of a plan; where the data is not here, say so.

    Raises:
        DataError: The data is incomplete, or cannot be cut as the suite says.
    """
    from segbench.errors import MissingDataError

    try:
        facts = folds_of_plan(entry, checks)
    except MissingDataError as error:
        tell(f"note: the folds are not shown: {error}")
        return
    show_folds(facts)
    for note in notes_on_folds(facts):
        tell(f"note: {note}")


def _listed(groups: Sequence[str]) -> str:
    shown = ", ".join(map(printable, groups[:_MOST_GROUPS]))
    return f"{len(groups)}: {shown}" + (", …" if len(groups) > _MOST_GROUPS else "")


def _folds(numbers: Sequence[int]) -> str:
    return f"{'fold' if len(numbers) == 1 else 'folds'} {', '.join(map(str, numbers))}"
