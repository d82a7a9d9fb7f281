"""Runs of one recipe that differ in the fraction of the training split alone, as one curve a network."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd

from segbench.metrics.scores import ClassCounts
from segbench.report.ranking.citations import data_title
from segbench.report.runs.network_identity import disambiguate_labels, drop_copies
from segbench.report.runs.split_marks import split_marks
from segbench.report.text import canonical, is_absent, plural
from segbench.results.record import Status


class Cell(NamedTuple):
    """One network trained on so many images.

    Attributes:
        images: How many training images.
        seeds: The seeds.
        runs: Counts of all test images, (N, C) each, by seed.
    """

    images: int
    seeds: tuple[int, ...]
    runs: tuple[ClassCounts, ...]


@dataclass(frozen=True, eq=False)
class Curve:
    """One network.

    Attributes:
        label: Its label.
        network: What it is apart from its initial weights: name and options, as canonical JSON.
        pretrained: Whether it started from pretrained weights.
        cells: Its trainings by number of images, fewest first.
    """

    label: str
    network: str
    pretrained: bool
    cells: tuple[Cell, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """The numbers of training images, fewest first."""
        return tuple(cell.images for cell in self.cells)


@dataclass(frozen=True, eq=False)
class CurveSet:
    """The curves of all networks that were trained by one recipe and tested on the same images.

    Attributes:
        name: Data set and length of the training, such as ``Nuclei · 188 steps``.
        key: The protocol of the largest fraction, which names figures.
        curves: The networks, in the order of the suite.
        classes: The names of the classes.
        images: How many test images.
        groups: What each of these belongs to; None where each stands alone.
    """

    name: str
    key: str
    curves: tuple[Curve, ...]
    classes: tuple[str, ...]
    images: int
    groups: tuple[Hashable, ...] | None

    @property
    def sizes(self) -> tuple[int, ...]:
        """All numbers of training images, fewest first."""
        return tuple(sorted({size for curve in self.curves for size in curve.sizes}))

    @property
    def units(self) -> int:
        """How many test images stand alone: groups of them, or images where there are no groups."""
        return self.images if self.groups is None else len(set(self.groups))


def curve_sets(runs: pd.DataFrame) -> list[CurveSet]:
    """Return the curves among stored runs; none where no recipe was trained on several fractions.

    Runs belong together where their recipes differ in ``dataset.fraction`` alone and their test images are the same.

    Args:
        runs: Rows of ``load_results``.
    """
    trained = pd.to_numeric(runs["train_images"], errors="coerce").gt(0)
    known = runs[trained & (runs["status"] == Status.COMPLETED)]
    if known["train_images"].nunique() < 2:
        return []
    completed = drop_copies(disambiguate_labels(known))
    rows: list[Any] = list(completed.itertuples())
    recipes = {run.protocol: run.recipe for run in rows}
    kinds = {protocol: _without_fraction(recipe) for protocol, recipe in recipes.items()}
    groups: dict[Hashable, list[Any]] = defaultdict(list)
    for run, split in zip(rows, split_marks(completed), strict=True):
        groups[kinds[run.protocol], split or canonical(run.test_digest), run.image_names].append(run)
    several = [found for found in groups.values() if len({int(run.train_images) for run in found}) > 1]
    return [_curve_set(found) for found in several]


def smaller_fractions(runs: pd.DataFrame) -> frozenset[str]:
    """Return the protocols that differ from another one in a smaller ``dataset.fraction`` alone.

    Args:
        runs: Rows of ``load_results``.
    """
    completed = runs[runs["status"] == Status.COMPLETED]
    by_kind: dict[str, dict[str, int]] = defaultdict(dict)
    run: Any
    for run in completed.itertuples():
        if not is_absent(run.train_images):
            by_kind[_without_fraction(run.recipe)][str(run.protocol)] = int(run.train_images)
    return frozenset(
        protocol for sizes in by_kind.values() for protocol, images in sizes.items() if images < max(sizes.values())
    )


def _without_fraction(recipe: Mapping[str, Any]) -> str:
    """Return what the recipes of one set have in common."""
    dataset = {key: value for key, value in (recipe.get("dataset") or {}).items() if key != "fraction"}
    return canonical({**recipe, "dataset": dataset})


def _curve_set(rows: list[Any]) -> CurveSet:
    largest = max(rows, key=lambda run: int(run.train_images))
    by_label: dict[str, list[Any]] = defaultdict(list)
    for run in rows:
        by_label[str(run.model)].append(run)
    return CurveSet(
        name=_name(largest.recipe),
        key=str(largest.protocol),
        curves=tuple(_curve(label, found) for label, found in by_label.items()),
        classes=tuple(map(str, largest.classes)),
        images=len(largest.image_names),
        groups=None if is_absent(largest.image_groups) else tuple(largest.image_groups),
    )


def _curve(label: str, runs: Iterable[Any]) -> Curve:
    cells: dict[int, dict[int, ClassCounts]] = defaultdict(dict)
    for run in runs:
        cells[int(run.train_images)].setdefault(int(run.seed), run.image_counts)
    return Curve(
        label,
        canonical([run.name, {key: value for key, value in (run.options or {}).items() if key != "pretrained"}]),
        not is_absent(run.pretrained) and bool(run.pretrained),
        tuple(Cell(images, tuple(cells[images]), tuple(cells[images].values())) for images in sorted(cells)),
    )


def _name(recipe: Mapping[str, Any]) -> str:
    train = recipe.get("train") or {}
    lengths = [plural(int(train[key]), key[:-1]) for key in ("steps", "epochs") if not is_absent(train.get(key))]
    name = (recipe.get("dataset") or {}).get("name")
    return " · ".join([*([data_title(str(name))] if name else []), *lengths])
