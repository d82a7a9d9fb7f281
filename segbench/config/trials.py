"""Plans the trials of a tuning, and the tuned runs with the chosen recipes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from segbench.config.plan import Recipe, Run, Trial, Tuned, folds_of, once_each, runs_at, variants
from segbench.config.sections.training import Train
from segbench.config.sections.tuning import Tuning
from segbench.config.suite import Suite

Kind = TypeVar("Kind", Recipe, Run)


@dataclass(frozen=True)
class Family:
    """The tuning of one network at one grid point (and, in a cross-validation, one fold).

    Attributes:
        trials: Its trials, in the order of the tuning's grid.
        recipes: The full recipe with the values of each trial.
        runs: Its runs with the shared recipe, one for each seed.
        protocol: The protocol of its tuned runs.
    """

    trials: tuple[Run, ...]
    recipes: tuple[Recipe, ...]
    runs: tuple[Run, ...]
    protocol: dict[str, Any]

    def tuned(self, position: int | None) -> tuple[Run, ...]:
        """Return its tuned runs, one for each seed.

        Args:
            position: Index of the chosen trial; None if none was chosen, then the runs are not executed.
        """
        tried = {trial.id: _values(trial) for trial in self.trials}
        chosen = None if position is None else _values(self.trials[position])
        tuned = Tuned(values=chosen, trials=tried, protocol=self.protocol)
        return tuple(
            _changed(run, tuning=tuned, recipe=run.recipe if position is None else self.recipes[position])
            for run in self.runs
        )


def families(suite: Suite) -> tuple[Family, ...]:
    """Return the tuning of every network at every grid point; empty without tuning."""
    return tuple(
        _family([run for run in runs[index :: len(variant.models)] if run.fold == fold], variant, variant.tuning)
        for point, variant in variants(suite)
        if variant.tuning is not None
        for runs in [runs_at(point, variant)]
        for index in range(len(variant.models))
        for fold in folds_of(variant.dataset)
    )


def trials(suite: Suite) -> tuple[Run, ...]:
    """Return the trials of a suite without duplicates."""
    return once_each(trial for family in families(suite) for trial in family.trials)


def _family(runs: list[Run], suite: Suite, tuning: Tuning) -> Family:
    first, points = runs[0], suite.tuning_points
    seed = suite.seeds[0] if tuning.seed is None else tuning.seed
    budgets = [_budget(point.train, tuning) for point in points]
    recipes = tuple(_changed(first.recipe, train=point.train) for point in points)
    reported = first.recipe.dataset.test_split
    tried = tuple(
        _changed(
            first,
            seed=seed,
            recipe=_trial_recipe(first.recipe, budget),
            tuning=Trial(values=point.values, reported_split=reported),
        )
        for point, budget in zip(points, budgets, strict=True)
    )
    search = {"grid": tuning.grid, "seed": seed, "epochs": budgets[0].epochs, "steps": budgets[0].steps}
    return Family(tried, recipes, tuple(runs), first.recipe.canonical() | {"tuning": search})


def _budget(train: Train, tuning: Tuning) -> Train:
    """Return a recipe with the length of a trial that is scored once at its end."""
    budget = {"epochs": tuning.epochs, "steps": tuning.steps}
    length = budget if any(budget.values()) else {}
    unvalidated = {"validate_every": None, "select": "last", "early_stopping": None}
    return train.model_copy(update={**length, **unvalidated, "keep_weights": False})


def _trial_recipe(recipe: Recipe, train: Train) -> Recipe:
    """Return the recipe of a trial, which never uses the suite's test split and stores no pictures.

    In a cross-validation, splits are unchanged: a trial is scored on the fold after its network's test fold.
    """
    dataset = recipe.dataset
    if dataset.folds is None:
        dataset = dataset.model_copy(update={"test_split": dataset.validation_split, "validation_split": None})
    return _changed(
        recipe,
        dataset=dataset,
        train=train,
        evaluate=recipe.evaluate.model_copy(update={"samples": 0}),
    )


def _changed(given: Kind, **changes: Any) -> Kind:
    """Return a copy with other values, without the original's cached hashes."""
    kind = type(given)
    return kind(**{name: getattr(given, name) for name in kind.model_fields} | changes)


def _values(trial: Run) -> dict[str, Any]:
    assert trial.tuning is not None
    assert trial.tuning.values is not None
    return trial.tuning.values


def best_position(scores: Sequence[float | None]) -> int | None:
    """Return the index of the best score, the first one if several are equal; None if there is no score.

    Args:
        scores: The validation mIoU of each trial in the grid's order; None or NaN for a trial without one.
    """
    known = {position: score for position, score in enumerate(scores) if score is not None and not math.isnan(score)}
    return max(known, key=lambda position: (known[position], -position), default=None)
