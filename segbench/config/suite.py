"""The schema of a suite: one recipe, several networks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, PrivateAttr, field_serializer, field_validator, model_validator
from pydantic.functional_validators import ModelWrapValidatorHandler

from segbench.config.component import DatasetEntry, MetricEntry, ModelEntry
from segbench.config.grid import expand
from segbench.config.reading.one_or_several import ONE_OR_SEVERAL
from segbench.config.reading.spelling import Spellings, respelled
from segbench.config.reading.validation_errors import line_error
from segbench.config.sections.channels import given_channels, mismatches
from segbench.config.sections.deploy import Deploy
from segbench.config.sections.model_defaults import with_defaults
from segbench.config.sections.robustness import Robustness
from segbench.config.sections.teachers import teaching_problem
from segbench.config.sections.training import (
    Evaluate,
    Loader,
    Precision,
    Resume,
    RunTimeout,
    Section,
    Speed,
    Train,
    Transforms,
    Window,
)
from segbench.config.sections.tuning import Tuning, TuningPoint

__all__ = [
    "Evaluate",
    "Loader",
    "Precision",
    "Resume",
    "RunTimeout",
    "Section",
    "Speed",
    "Suite",
    "Train",
    "Transforms",
    "Window",
]

_VALIDATING = "train.validate_every and train.select: best"

_LONGEST_NAME = 200

Seed = Annotated[int, Field(ge=0, lt=2**32)]


class Suite(Section):
    """A comparison of networks trained on one data set with one recipe."""

    name: str = "suite"
    """Name of the folder under ``results/``; the suite file's name by default."""
    description: str = ""
    """What the suite compares, for the report."""
    dataset: DatasetEntry
    """The data set and its splits."""
    transforms: Transforms = Field(default_factory=Transforms)
    """Preprocessing and augmentation."""
    models: tuple[ModelEntry, ...] = Field(min_length=1)
    """The networks."""
    defaults: dict[str, Any] = Field(default_factory=dict)
    """Options for all networks that accept them and do not set them."""
    train: Train | None
    """The training recipe; null evaluates networks as loaded."""
    evaluate: Evaluate = Field(default_factory=Evaluate)
    """The evaluation."""
    seeds: tuple[Seed, ...] = Field(default=(0, 1, 2), min_length=1)
    """One run for each network and seed. A single seed cannot distinguish trained networks. With ``train: null`` the
    default is 0, since loaded weights do not depend on the seed."""
    grid: Annotated[tuple[dict[str, list[Any]], ...], ONE_OR_SEVERAL] = ({},)
    """Dotted keys with lists of values; the suite is run for all combinations. Of a list of such grids, each is run
    by itself; ``{}`` is the suite as written."""
    tuning: Tuning | None = None
    """A search over the recipe, the same for every network, in addition to the shared recipe; none by default."""
    loader: Loader = Field(default_factory=Loader)
    """Reading and caching; does not change results."""
    resume: Resume = Field(default_factory=Resume)
    """Saving of training states; does not change results."""
    run_timeout: RunTimeout = Field(default_factory=RunTimeout)
    """When a run that takes too long or hangs is ended; does not change results."""
    metrics: tuple[MetricEntry, ...] = ()
    """Metrics of confusion matrices in addition to the scores of every table; do not change results."""
    threads: int = Field(default=1, ge=1)
    """CPU threads per operation in all runs, with any launcher; the number affects results."""
    speed: Speed | None = None
    """What ``segbench speed`` measures; defaults if not given."""
    robustness: Robustness | None = None
    """What trained networks are tested on beside the test split; without it, ``segbench robustness`` takes the block's
    defaults."""
    deploy: Deploy | None = None
    """In which other runtimes and forms trained networks are tested; without it, ``segbench deploy`` takes the block's
    defaults."""

    _spellings: Spellings = PrivateAttr(default_factory=dict)

    def spelled(self, spellings: Spellings) -> Suite:
        """Return this suite, which remembers how its file spells texts."""
        self._spellings = spellings
        return self

    def as_written(self, document: Any, *, folder: Path) -> Any:
        """Return a document made of this suite, spelled as the suite's file, to be stored in a folder.

        So it holds neither the content of variables nor the folders of the machine.
        """
        return respelled(document, self._spellings, folder=folder)

    @cached_property
    def written(self) -> Mapping[str, Any]:
        """The suite as written, without the models' defaults and omitted options."""
        return self.model_dump(mode="json")

    @cached_property
    def variants(self) -> list[tuple[dict[str, Any], Suite]]:
        """Each grid point with its suite; without a grid, one empty point with this suite."""
        return expand(self.written, self.grid, validate=Suite.model_validate) if self.has_grid else [({}, self)]

    @property
    def has_grid(self) -> bool:
        """Whether it is run at several points, or at one with other values."""
        return self.grid != ({},)

    @cached_property
    def tuning_points(self) -> list[TuningPoint]:
        """Each point of the tuning's grid with its training recipe; empty without tuning."""
        if self.tuning is None:
            return []
        document = {key: value for key, value in self.written.items() if key not in ("grid", "tuning")}
        found = expand(document, [self.tuning.grid], validate=Suite.model_validate, at=("tuning", "grid"))
        return [TuningPoint(values, suite.train) for values, suite in found if suite.train is not None]

    @property
    def recipes(self) -> list[Train]:
        """Its training recipes at a grid point: its own and those of a tuning; empty without training."""
        return [*([self.train] if self.train is not None else []), *(point.train for point in self.tuning_points)]

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy as pydantic does, with derived values computed again."""
        copy = super().model_copy(update=update, deep=deep)
        for derived in ("written", "variants", "tuning_points"):
            copy.__dict__.pop(derived, None)
        return copy

    @field_validator("grid", mode="before")
    @classmethod
    def _one_or_several(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        for key, values in given.items():  # here, since an error below would be located in a list that nobody wrote
            if not isinstance(values, list | tuple):
                raise line_error(cls.__name__, (str(key),), "should be a list", values)
        return [given]

    @field_serializer("grid")
    def _write_one_alone(self, grid: tuple[dict[str, list[Any]], ...]) -> Any:
        return grid[0] if len(grid) == 1 else grid

    @model_validator(mode="wrap")
    @classmethod
    def _remember_and_expand(cls, given: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        suite = handler(given)
        if isinstance(given, Mapping):
            suite.__dict__["written"] = _plain(given)
        if suite.has_grid:
            _ = suite.variants
        return suite

    @model_validator(mode="before")
    @classmethod
    def _apply_defaults(cls, given: Any) -> Any:
        if not isinstance(given, Mapping) or not isinstance(given.get("models"), list | tuple):
            return given
        defaults = given.get("defaults") or {}
        if not isinstance(defaults, Mapping):
            return given
        return {**given, "models": with_defaults(given["models"], defaults)}

    @model_validator(mode="before")
    @classmethod
    def _evaluate_what_is_loaded_once(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and "train" in given and given["train"] is None:
            return {"seeds": (0,), **given}
        return given

    @field_validator("name")
    @classmethod
    def _folder_name(cls, given: str) -> str:
        if not re.fullmatch(r"[\w][\w.-]*", given):
            raise ValueError("must be usable as a folder name: letters, digits, '.', '_' and '-'")
        if len(given.encode()) > _LONGEST_NAME:
            raise ValueError(f"must be usable as a folder name: at most {_LONGEST_NAME} bytes long")
        return given

    @field_validator("models")
    @classmethod
    def _distinct_labels(cls, given: tuple[ModelEntry, ...]) -> tuple[ModelEntry, ...]:
        seen: set[str] = set()
        for index, model in enumerate(given):
            if model.label in seen:
                text = f"two models are called {model.label!r}; give one of them a label of its own"
                raise line_error(cls.__name__, (index, "label"), text, model.label)
            seen.add(model.label)
        return given

    @field_validator("metrics")
    @classmethod
    def _distinct_metrics(cls, given: tuple[MetricEntry, ...]) -> tuple[MetricEntry, ...]:
        labels = [metric.label for metric in given]
        for index, label in enumerate(labels):
            if label in labels[:index]:
                text = f"two metrics are called {label!r}; give one of them a label of its own"
                raise line_error(cls.__name__, (index, "label"), text, label)
        return given

    @field_validator("seeds")
    @classmethod
    def _distinct_seeds(cls, given: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(given)) < len(given):
            raise ValueError("a seed is listed twice")
        return given

    @model_validator(mode="after")
    def _validation_split_where_needed(self) -> Suite:
        if self.train is None:
            return self
        needs = self.train.validates
        if self.dataset.folds is not None:
            return self._fold_left_to_train_on(f"{_VALIDATING} and train.early_stopping") if needs else self
        if needs and self.dataset.validation_split is None:
            what = "train.early_stopping needs" if self.train.early_stopping else f"{_VALIDATING} need"
            raise ValueError(f"{what} dataset.validation_split")
        if self.train.chooses_by_validation and self.dataset.validation_split == self.dataset.test_split:
            raise ValueError("weights must not be selected on the split that is reported: change validation_split")
        return self

    @model_validator(mode="after")
    def _tuning_has_what_it_needs(self) -> Suite:
        if self.tuning is None:
            return self
        problem = None
        if self.train is None:
            problem = "needs a recipe under train"
        elif any(recipe.distill is not None for recipe in self.recipes):
            problem = "does not go with train.distill: trials have no teacher; tune first, then write the values down"
        elif self.dataset.folds is not None:
            self._fold_left_to_train_on("tuning")
        elif self.dataset.validation_split is None:
            problem = "needs dataset.validation_split to score its trials on"
        elif self.dataset.validation_split == self.dataset.test_split:
            problem = "must not choose on the split that is reported: change dataset.validation_split"
        if problem is not None:
            raise line_error(type(self).__name__, ("tuning",), problem, ...)
        recipes = [point.train for point in self.tuning_points]
        if any(recipe in recipes[:index] for index, recipe in enumerate(recipes)):
            raise line_error(type(self).__name__, ("tuning", "grid"), "two of its points are the same recipe", ...)
        return self

    @model_validator(mode="after")
    def _models_teach_each_other(self) -> Suite:
        distill = self.train.distill if self.train is not None else None
        if distill is not None and (problem := teaching_problem(distill, [model.label for model in self.models])):
            raise line_error(type(self).__name__, ("train", "distill", "teacher"), problem, ...)
        return self

    @model_validator(mode="after")
    def _nothing_is_scored_on_what_it_was_trained_on(self) -> Suite:
        if self.train is None or self.dataset.folds is not None:
            return self
        for key in ("test_split", "validation_split"):
            if getattr(self.dataset, key) == self.dataset.train_split:
                text = "is the split that is trained on; scores on it would say nothing: name another split"
                raise line_error(type(self).__name__, ("dataset", key), text, self.dataset.train_split)
        return self

    @model_validator(mode="after")
    def _only_what_is_loaded_has_other_classes(self) -> Suite:
        for index, model in enumerate(self.models):
            if self.train is not None and model.classes_map is not None:
                text = "is for networks that are evaluated as loaded (train: null); one that is trained here has the "
                text += "data set's own classes: take strict: false for a checkpoint of other ones"
                raise line_error(type(self).__name__, ("models", index, "classes_map"), text, ...)
        return self

    @model_validator(mode="after")
    def _folds_are_trained_on(self) -> Suite:
        if self.train is None and self.dataset.folds is not None:
            text = "needs a recipe under train: networks that are not trained can be tested on all images at once"
            raise line_error(type(self).__name__, ("dataset", "folds"), text, self.dataset.folds)
        return self

    @model_validator(mode="after")
    def _transforms_fit_the_channels(self) -> Suite:
        channels, trained = given_channels(self.dataset), self.train is not None
        for split in ("train", "test") if trained else ("test",):
            steps = getattr(self.transforms, split)
            for place, problem in mismatches(steps, channels, trained=trained):
                raise line_error(type(self).__name__, ("transforms", split, place), problem, steps[place].name)
        return self

    def _fold_left_to_train_on(self, what: str) -> Self:
        """Refuse two folds if one is tested and the other one is the validation split.

        Raises:
            ValidationError: Nothing would be left to train on.
        """
        if self.dataset.folds == 2:
            text = f"must be at least 3: for {what}, a fold is validated on beside the one that is tested"
            raise line_error(type(self).__name__, ("dataset", "folds"), text, self.dataset.folds)
        return self


def _plain(value: Any) -> Any:
    """Return a suite's mapping with parts built in Python converted to mappings."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value
