"""Plans the runs of a suite; a run's identity is the hash of everything that can change its result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import product
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from segbench.config.component import ADAPTING_KEYS, SOURCE_KEY, DatasetEntry, ModelEntry
from segbench.config.files import content_digest, module_source, supplied_weights
from segbench.config.reading.definitions import MAIN, definition_digest
from segbench.config.sections.teachers import teachers_first, teachers_of
from segbench.config.sections.training import InitScheme
from segbench.config.suite import Evaluate, Loader, Resume, RunTimeout, Suite, Train, Transforms
from segbench.config.titles import (
    concerns_model,
    id_end,
    id_start,
    in_words,
    titled,
    with_fold,
    with_point,
    with_teacher,
)
from segbench.errors import SuiteError

RECIPE_VERSION = 1
"""Version of recipes, increased if an equal recipe gives other results, so that old runs are not reused."""

_LOCAL_DATASET_OPTIONS = frozenset({"root", "download"})
"""Dataset options about the location of the data on a machine, which do not identify it."""

_LATER_KEYS: dict[str, dict[str, Any]] = {
    "dataset": {"channels": None, "pages": None, "recursive": False, "things": None},
    "train": {
        "auxiliary": None,
        "batch_norm_statistics": "running",
        "deterministic": False,
        "distill": None,
        "early_stopping": None,
        "init": "paper",
        "micro_batch": None,
        "sync_batch_norm": False,
    },
}
"""Keys added after recipe version 1, with the values that mean the former behaviour. They are omitted with these
values, so that recipes keep their ids."""

_LATER_STEP_KEYS: dict[str, dict[str, Any]] = {"normalize": {"statistics": "given"}, "resize": {"scale": None}}
"""The same for options of transforms, by name."""

_LATER_OPTIONS: dict[str, dict[str, Any]] = {
    "focal": {"class_weights": "none"},
    "dice": {"class_weights": "none"},
}
"""The same for options of losses, by name."""


class Recipe(BaseModel):
    """Everything that is the same for all networks: data, transforms, training and evaluation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset: DatasetEntry
    transforms: Transforms
    train: Train | None
    evaluate: Evaluate

    @property
    def init(self) -> InitScheme:
        """The init scheme; each network's own without training."""
        return self.train.init if self.train is not None else "paper"

    def canonical(self) -> dict[str, Any]:
        """Return the recipe as plain values, without settings that are local to a machine or do not change scores."""
        document = self.model_dump(mode="json")
        for key in _LOCAL_DATASET_OPTIONS:
            document["dataset"].pop(key, None)
        document["dataset"].pop("allow", None)
        groups = document["dataset"].get("fold_groups", {})
        if "file" in groups:
            groups["file"] = content_digest(groups["file"]) or groups["file"]
        document["evaluate"].pop("samples")
        if document["train"]:
            for key in ("keep_weights", "activation_checkpointing"):
                document["train"].pop(key)
        for section, keys in _LATER_KEYS.items():
            _drop_unchanged(document[section] or {}, keys)
        for step in (step for steps in document["transforms"].values() for step in steps):
            _drop_unchanged(step, _LATER_STEP_KEYS.get(step["name"], {}))
        for part in _parts(document):
            _drop_unchanged(part, _LATER_OPTIONS.get(part["name"], {}))
            if (source := source_digest(part["name"])) is not None:
                part[SOURCE_KEY] = source
        return document | {"recipe_version": RECIPE_VERSION}

    @cached_property
    def canonical_text(self) -> str:
        """The canonical recipe as text for hashing; cached for all its runs."""
        return canonical_text(self.canonical())

    @cached_property
    def protocol_id(self) -> str:
        """Hash of the canonical recipe: rows with equal protocol ids may be ranked against each other."""
        return _sha256(self.canonical_text)


class Trial(BaseModel):
    """Marks a run as a trial: it is scored on the validation split to choose a recipe for its network."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    role: Literal["trial"] = "trial"
    values: dict[str, Any]
    """The tried values by dotted key."""
    reported_split: str
    """The test split of the chosen recipe, which must not share images with the trial's split."""


class Tuned(BaseModel):
    """Marks a run as tuned: its recipe was chosen by its network's trials."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    role: Literal["tuned"] = "tuned"
    values: dict[str, Any] | None
    """The chosen values by dotted key; None if nothing was chosen (yet)."""
    trials: dict[str, dict[str, Any]]
    """The tried values by trial id, in the grid's order."""
    protocol: dict[str, Any]
    """The recipe before tuning and the search; the same for all networks."""


class Run(BaseModel):
    """One network, one seed, one recipe."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    suite: str
    model: ModelEntry
    recipe: Recipe
    seed: int
    point: dict[str, Any]
    """The grid's values for this run, by dotted key."""
    loader: Loader
    resume: Resume = Resume()
    run_timeout: RunTimeout = RunTimeout()
    threads: int = 1
    """CPU threads per operation; not part of the identity, but recorded and compared in reports."""
    tuning: Trial | Tuned | None = None
    """Its role in a tuning; None for a run with the shared recipe."""
    fold: int | None = None
    """The test fold, from 1; None without cross-validation."""
    teacher: Run | None = None
    """The run whose network teaches this one's; None without ``train.distill``."""

    @cached_property
    def identity(self) -> str:
        """Hash of everything that can change the run's result."""
        members: dict[str, Any] = {"model": canonical_model(self.model), "seed": self.seed}
        if self.role is not None:
            members["role"] = self.role
        if self.fold is not None:
            members["fold"] = self.fold
        if isinstance(self.tuning, Tuned):
            members |= {"protocol": self.protocol_id, "values": self.tuning.values}
        recipe = self.recipe.canonical_text
        if self.teacher is not None:
            members["teacher"], recipe = self.teacher.identity, canonical_text(self._distilled_recipe(self.teacher))
        texts = {key: canonical_text(member) for key, member in members.items()}
        return _sha256(_object_text(texts | {"recipe": recipe}))

    @property
    def role(self) -> Literal["trial", "tuned"] | None:
        """Name of its role in a tuning; None for a run with the shared recipe."""
        return self.tuning.role if self.tuning else None

    @property
    def protocol(self) -> dict[str, Any]:
        """What all rows share that it may be ranked with: the recipe or, for a tuned run, the search."""
        if self.teacher is not None:
            return self._distilled_recipe(self.teacher)
        return self.tuning.protocol if isinstance(self.tuning, Tuned) else self.recipe.canonical()

    def _distilled_recipe(self, teacher: Run) -> dict[str, Any]:
        """Return the canonical recipe with the teacher's network and protocol instead of its label."""
        document = self.recipe.canonical()
        taught_by = digest({"model": canonical_model(teacher.model), "protocol": teacher.protocol_id})
        document["train"]["distill"]["teacher"] = {"name": teacher.model.name, "digest": taught_by}
        return document

    @cached_property
    def protocol_id(self) -> str:
        """Hash of the protocol: rows with equal protocol ids may be ranked against each other."""
        shared = self.tuning is None and self.teacher is None
        return self.recipe.protocol_id if shared else digest(self.protocol)

    @property
    def title(self) -> str:
        """The label with its teacher, the values of tuning and grid and, in a cross-validation, the fold."""
        title = titled(self.label, self.tuning.role, self.tuning.values) if self.tuning else self.label
        title = with_teacher(title, self.teacher.model.label if self.teacher is not None else None)
        return with_fold(with_point(title, self.point), self.fold, self.recipe.dataset.folds)

    @property
    def label(self) -> str:
        """The row's name: the model's label with the grid's values for the model."""
        values = {key: value for key, value in self.point.items() if concerns_model(key)}
        if self.teacher is not None:  # whose network may be meant
            values = {key.partition(".")[2].replace(".", " "): value for key, value in values.items()}
        return f"{self.model.label} ({in_words(values)})" if values else self.model.label

    @cached_property
    def id(self) -> str:
        """Folder name of the run: model, seed and the start of its identity."""
        return f"{id_start(self.model.label)}-{id_end(self.seed, self.fold, self.identity)}"

    @property
    def generation(self) -> int:
        """How many teachers must be trained before, one after the other."""
        return 0 if self.teacher is None else self.teacher.generation + 1

    @property
    def data_key(self) -> str:
        """Key of everything a run's images depend on: the recipe and, in a cross-validation, fold and role."""
        if self.fold is None:
            return self.recipe.protocol_id
        return f"{self.recipe.protocol_id}-fold{self.fold}{'-trial' if self.role == 'trial' else ''}"


def plan(suite: Suite) -> tuple[Run, ...]:
    """Return the runs of a suite, ordered by grid point, seed, fold and model, teachers before their students.

    A run that is equal at several grid points, because they differ only in other models, is listed once with the values
    that concern it.

    Raises:
        SuiteError: A grid key changes no run, or two models are identical.
    """
    runs = once_each(run for point, variant in variants(suite) for run in runs_at(point, variant))
    for key, values in [item for grid in suite.grid for item in grid.items()]:
        if len(values) > 1 and not any(key in run.point for run in runs):
            raise SuiteError("changes no run; its values would all give the same results", key=f"grid.{key}")
    return runs


def once_each(runs: Iterable[Run]) -> tuple[Run, ...]:
    """Return runs without duplicates, with the grid values common to all occurrences.

    Raises:
        SuiteError: Two models are identical.
    """
    found: dict[str, Run] = {}
    for run in runs:
        found[run.id] = _merged(found[run.id], run) if run.id in found else run
    return tuple(found.values())


def variants(suite: Suite) -> list[tuple[dict[str, Any], Suite]]:
    """Return each grid point with its suite; one empty point without a grid."""
    return suite.variants


def canonical_model(model: ModelEntry) -> dict[str, Any]:
    """Return a network as plain values, without label and with files replaced by their content's hash.

    ``weights`` and ``pretrained`` become the SHA-256 of their file. ``pretrained: true`` becomes that of the files in
    ``$SEGBENCH_WEIGHTS``, or stays true without one. A ``python:`` network also has the SHA-256 of its module's source;
    the module's imports are not included.
    """
    document = model.model_dump(mode="json")
    del document["label"]
    for key in ("weights", "pretrained"):
        if isinstance(document.get(key), str):
            document[key] = content_digest(document[key]) or document[key]
    if document.get("pretrained") is True and (supplied := supplied_weights(model.name, model.options)):
        document["pretrained"] = supplied[0] if len(supplied) == 1 else supplied
    if (source := source_digest(model.name)) is not None:
        document[SOURCE_KEY] = source
    return document


def seeding_model(model: ModelEntry) -> dict[str, Any]:
    """Return the values that a network's seeds depend on, which exclude its source text.

    A changed comment in the module of a ``python:`` network, or another ``pad_to``, makes another run with the same
    initial weights.
    """
    apart = (SOURCE_KEY, *ADAPTING_KEYS)
    return {key: value for key, value in canonical_model(model).items() if key not in apart}


def _drop_unchanged(part: dict[str, Any], keys: Mapping[str, Any]) -> None:
    """Remove keys from a part of a recipe whose values mean the former behaviour."""
    for key, before in keys.items():
        if part.get(key, ...) == before:
            del part[key]


def _parts(recipe: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the components of a recipe except its data set."""
    for steps in recipe["transforms"].values():
        yield from steps
    if recipe["train"]:
        yield from (*recipe["train"]["loss"], recipe["train"]["optimizer"], recipe["train"]["schedule"])


def source_digest(name: str) -> str | None:
    """Return the SHA-256 of the source of a ``python:`` part's module; None for other parts, or without source.

    For definitions in a notebook or script, the hash covers the definition and everything it uses there.

    Raises:
        UsageError: Such a definition uses a value that cannot be hashed.
    """
    family, _, target = name.partition(":")
    if family != "python":
        return None
    module, _, attribute = target.rpartition(".")
    if module == MAIN:
        return definition_digest(attribute)
    source = module_source(module)
    return content_digest(source) if source is not None else None


def digest(value: Any) -> str:
    """Return the SHA-256 of a JSON value in canonical form."""
    return _sha256(canonical_text(value))


def canonical_text(value: Any) -> str:
    """Return a JSON value in canonical form: equal values have equal texts."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _object_text(members: Mapping[str, str]) -> str:
    """Return the canonical form of an object, given those of its members; their names are plain words."""
    return "{" + ",".join(f'"{key}":{members[key]}' for key in sorted(members)) + "}"


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def folds_of(dataset: DatasetEntry) -> tuple[int | None, ...]:
    """Return the folds of a cross-validation, from 1; None alone without one."""
    return (None,) if dataset.folds is None else tuple(range(1, dataset.folds + 1))


def runs_at(point: dict[str, Any], variant: Suite) -> list[Run]:
    """Return the runs of one grid point with the shared recipe, teachers before their students.

    The recipe of a student names its own teacher, that of other networks has no ``distill``.
    """
    models = {model.label: model for model in variant.models}
    teachers = teachers_of(variant.train.distill if variant.train is not None else None, list(models))
    recipes = {teacher: _taught_by(teacher, variant) for teacher in (None, *teachers.values())}
    runs: list[Run] = []
    for seed, fold in product(variant.seeds, folds_of(variant.dataset)):
        made: dict[str, Run] = {}
        for label in teachers_first(list(models), teachers):
            teacher = teachers.get(label)
            made[label] = Run(
                suite=variant.name,
                model=models[label],
                recipe=recipes[teacher],
                seed=seed,
                point=point,
                loader=variant.loader,
                resume=variant.resume,
                run_timeout=variant.run_timeout,
                fold=fold,
                threads=variant.threads,
                teacher=None if teacher is None else made[teacher],
            )
        runs += made.values()
    return runs


def _taught_by(teacher: str | None, variant: Suite) -> Recipe:
    """Return the recipe of networks with a teacher of this label; None for those without."""
    train = variant.train
    if train is not None and train.distill is not None:
        distill = None if teacher is None else train.distill.model_copy(update={"teacher": teacher})
        train = train.model_copy(update={"distill": distill})
    return Recipe(dataset=variant.dataset, transforms=variant.transforms, train=train, evaluate=variant.evaluate)


def _merged(first: Run, again: Run) -> Run:
    """Merge two runs of the same id, keeping their common grid values."""
    if first.model.label != again.model.label:
        text = f"{first.model.label!r} and {again.model.label!r} are the same network under one folder name"
        raise SuiteError(f"{text}; give them labels that differ in letters or digits", key="models")
    common = {key: value for key, value in first.point.items() if key in again.point and again.point[key] == value}
    return first.model_copy(update={"point": common})
