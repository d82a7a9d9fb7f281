"""Tries the losses, optimizers and schedules of a suite's recipes without its data, for ``segbench validate``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from segbench.config.component import Component, options_schema
from segbench.config.plan import Recipe, Run, digest
from segbench.config.sections.channels import given_channels
from segbench.config.sections.training import Train
from segbench.data.open import create_dataset
from segbench.errors import DataError
from segbench.registry import TRANSFORMS

_RATES = ("lr", "weight_decay")
_CLASSES = 2
"""Assumed number of classes if the data is missing."""


def may_fail(train: Train) -> bool:
    """Return whether a recipe has parts to try: all except built-in ones with default options. Imports no torch."""
    return not all(map(_is_plain, (*train.loss, train.optimizer, train.schedule))) or bool(train.optimizer.groups)


def check_recipes(runs: Iterable[Run]) -> list[str]:
    """Create the losses, the optimizer and the schedule of each recipe; the last two for each network.

    Returns:
        Messages for the user.

    Raises:
        SuiteError: A part cannot be created, or fails.
    """
    recipes = _by_recipe(runs)
    remarks = dict.fromkeys(text for group in recipes for text in normalized_otherwise(group[0].recipe))
    groups = [group for group in recipes if (train := group[0].recipe.train) is not None and may_fail(train)]
    if not groups:
        return list(remarks)
    from segbench.engine.suite.preflight_models import try_training
    from segbench.engine.suite.preflight_recipes import try_losses

    found: dict[str, None] = remarks
    known: dict[str, str | None] = {}
    for group in groups:
        recipe = group[0].recipe
        assert recipe.train is not None
        try:
            info = create_dataset(recipe.dataset, recipe.dataset.test_split).info
            classes, channels = len(info.classes), info.channels
            found.update(dict.fromkeys(try_losses(recipe.train, classes=classes)))
        except DataError as error:
            found[f"train.loss is not tried, since the data is not here: {str(error).splitlines()[0]}"] = None
            classes, channels = _CLASSES, given_channels(recipe.dataset) or 3
        try_training(group, known, classes=classes, channels=channels, batches=None)
    return list(found)


def normalized_otherwise(recipe: Recipe) -> list[str]:
    """Say how test images are normalised otherwise than training images, on which networks rely; empty if alike.

    Transforms of other packages may normalise, too: where one side has such a step, nothing is said.
    """
    if recipe.train is None:
        return []
    sides = {"train": recipe.transforms.train, "test": recipe.transforms.test}
    given = {side: next((step for step in steps if step.name == "normalize"), None) for side, steps in sides.items()}
    foreign = {side for side, steps in sides.items() if any(TRANSFORMS.is_foreign(step.name) for step in steps)}
    without = [side for side, step in given.items() if step is None]
    if len(without) == 2 or foreign.intersection(without):
        return []
    if without:
        other = "test" if without == ["train"] else "train"
        what = f"transforms.{other} normalizes images and transforms.{without[0]} does not"
    else:
        train, test = (step.options for step in given.values() if step is not None)
        changed = [key for key in train if train[key] != test[key]]
        if not changed:
            return []
        what = "; ".join(f"normalize: {key} is {train[key]} in training and {test[key]} in tests" for key in changed)
    return [f"{what}: networks are tested on other numbers than they were trained on"]


def _by_recipe(runs: Iterable[Run]) -> list[list[Run]]:
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(digest(run.recipe.model_dump(mode="json")), []).append(run)
    return list(groups.values())


def _is_plain(part: Component) -> bool:
    """Return whether a part is built in and only its learning rates differ from the defaults."""
    if ":" in part.name or part.registry.is_foreign(part.name):
        return False
    fields = options_schema(part.registry.find(part.name).entry).model_fields
    changed: Mapping[str, Any] = {key: value for key, value in part.options.items() if fields[key].default != value}
    return all(key in _RATES and isinstance(value, int | float) and value >= 0 for key, value in changed.items())
