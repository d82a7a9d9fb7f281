"""Components: registered names with options, validated against the factory's signature without importing it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SkipValidation,
    create_model,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from segbench import option_kinds
from segbench.config.reading.validation_errors import line_error, refuse_misplaced_booleans, unknown_keys
from segbench.config.sections.classes_map import normalised
from segbench.config.sections.fold_groups import FoldGroups
from segbench.config.sections.parameter_groups import ParameterGroup
from segbench.errors import UnknownNameError, UsageError, did_you_mean
from segbench.registry import DATASETS, LOSSES, METRICS, MODELS, OPTIMIZERS, SCHEDULES, TRANSFORMS, Entry, Registry
from segbench.signature import Parameter

SOURCE_KEY = "python: source"
"""Key of the source digest of a ``python:`` part in a recipe or model; no option can have this name."""

ADAPTING_KEYS = ("pad_to", "output")
"""Keys of a model's entry about how its network is used; none of them changes its weights."""

_ANNOTATIONS: dict[str, Any] = {
    "Any": Any,
    "Literal": Literal,
    "Mapping": Mapping,
    "Path": Path,
    **{kind.__name__: kind for kind in (bool, dict, float, int, list, str, tuple)},
}

_BOUNDED: dict[str, Any] = {name: getattr(option_kinds, name) for name in option_kinds.__all__}
"""Further annotations of built-in factories; in other packages these names may mean something else."""


class Options(dict[str, Any]):
    """All options of a component, and which of them were written; compares and is stored as a plain dict.

    Args:
        values: All options, including defaults.
        written: The options that were written explicitly.
    """

    def __init__(self, values: Mapping[str, Any], written: Iterable[str]) -> None:
        super().__init__(values)
        self.written = frozenset(written)

    def __reduce__(self) -> tuple[Any, ...]:
        return Options, (dict(self), self.written)


class Component(BaseModel):
    """A registered name and its options, written flat: ``{name: unet, width: 0.25}``, or just ``unet``."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    registry: ClassVar[Registry]

    name: str
    """The registered name; ``segbench list`` shows them."""
    options: Annotated[dict[str, Any], SkipValidation] = Field(default_factory=dict)
    """All options of the component, including defaults."""

    @model_validator(mode="before")
    @classmethod
    def _read_flat(cls, given: Any) -> Any:
        """Split a mapping into own fields and options, and check the options."""
        if isinstance(given, cls):
            return given
        given = flat(given)
        if not isinstance(given, Mapping) or not isinstance(given.get("name"), str):
            raise PydanticCustomError(
                "component",
                "expected the name of one of the {kind}, or a mapping with a 'name'",
                {"kind": cls.registry.plural},
            )
        own = {key: given[key] for key in cls.own_fields() if key in given}
        refuse_misplaced_booleans(cls.__name__, own, cls.model_fields)
        options = {key: value for key, value in given.items() if key not in own and key != SOURCE_KEY}
        return {**own, "options": cls._check_options(own["name"], options)}

    @classmethod
    def own_fields(cls) -> list[str]:
        """Return the keys that all components of this kind have."""
        return [field for field in cls.model_fields if field != "options"]

    @classmethod
    def _check_options(cls, name: str, options: Mapping[Any, Any]) -> dict[str, Any]:
        schema = options_schema(find_entry(cls.registry, name))
        if schema.model_config.get("extra") != "allow":
            unknown = [key for key in options if key not in schema.model_fields]
            known = [*schema.model_fields, *cls.own_fields()]
            if unknown:
                raise unknown_keys(cls.__name__, unknown, options, known=known, what=f"option of {name}")
        refuse_misplaced_booleans(cls.__name__, options, schema.model_fields)
        return Options(schema.model_validate(dict(options)).model_dump(), options)

    @property
    def unwritten(self) -> frozenset[str]:
        """The options that were not written and have their defaults; empty for a stored entry."""
        options = self.options
        return frozenset(options) - options.written if isinstance(options, Options) else frozenset()

    @model_serializer
    def _write_flat(self) -> dict[str, Any]:
        own = {field: getattr(self, field) for field in self.own_fields()}
        return {key: value for key, value in own.items() if value is not None} | self.options

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> dict[str, Any]:
        """Return a schema of all registered names with their options, for editors."""
        own = handler.resolve_ref_schema(handler(core_schema)).get("properties", {})
        own = {key: value for key, value in own.items() if key not in ("name", "options")}
        entries = cls.registry.entries().values()
        return {
            "anyOf": [*_name_schemas(cls.registry), *(_entry_schema(entry, own) for entry in entries)],
            "description": (cls.__doc__ or "").partition("\n")[0],
        }


class ModelEntry(Component):
    """A network of the comparison: its name, its options, and the weights it starts from."""

    registry = MODELS

    label: str = ""
    """Name of the row; the registered name by default. Two entries with the same name need different labels."""
    weights: str | None = Field(default=None, min_length=1)
    """A checkpoint (.safetensors, .pt, .pth) that holds the whole network."""
    strict: bool = True
    """Whether all tensors of the checkpoint must match; false loads those that do and lists the others."""
    min_fit: float | None = Field(default=None, gt=0, le=1)
    """With ``strict: false``, the fraction of the network that must match; 0.5 by default."""
    weights_key: str | None = None
    """The dotted key of the weights in the checkpoint, or the prefix of their names; found automatically by default."""
    classes_map: dict[str, int | tuple[int, ...]] | tuple[int | tuple[int, ...], ...] | None = None
    """For each class of the data set, the checkpoint's outputs that represent it, from 0, if its classes differ; for
    ``train: null``."""
    pad_to: int | None = Field(default=None, ge=1)
    """Images are padded with zeros (the mean colour after ``normalize``) to a multiple of this, and scores are cropped
    to the image. By default only for network families that always do."""
    output: str | int | None = None
    """Location of the scores in an external network's output: a key, an index, or several separated by dots."""

    @model_validator(mode="before")
    @classmethod
    def _default_label(cls, given: Any) -> Any:
        given = flat(given)
        if isinstance(given, Mapping) and not given.get("label") and isinstance(given.get("name"), str):
            return {**given, "label": given["name"]}
        return given

    @field_validator("classes_map", mode="before")
    @classmethod
    def _normalise_classes_map(cls, given: Any) -> Any:
        return normalised(given)

    @model_validator(mode="after")
    def _about_a_checkpoint(self) -> ModelEntry:
        for key in ("min_fit", "weights_key", "classes_map"):
            if self.weights is None and getattr(self, key) is not None:
                raise line_error(type(self).__name__, (key,), "is about a checkpoint: needs weights", ...)
        if self.min_fit is not None and self.strict:
            text = "has a part with strict: false only: otherwise every tensor has to fit"
            raise line_error(type(self).__name__, ("min_fit",), text, self.min_fit)
        return self

    @property
    def pretrained(self) -> bool:
        """Whether any of its weights were pretrained."""
        return bool(self.options.get("pretrained")) or self.weights is not None

    @property
    def settings(self) -> dict[str, Any]:
        """The options, with further keys of the entry that change what its network computes."""
        adapted = {key: value for key in ADAPTING_KEYS if (value := getattr(self, key)) is not None}
        return adapted | self.options


AllowedKind = Literal["one-class", "absent-class", "void", "same-picture", "lossy"]
"""Findings of the data check that a suite may allow."""


class DatasetEntry(Component):
    """The data set that every network is trained and tested on."""

    registry = DATASETS

    train_split: str = "train"
    """The split to train on; it shares no image with the others."""
    validation_split: str | None = None
    """The split for validation scores and for ``train.select: best``; none by default."""
    test_split: str = "test"
    """The split whose scores are reported."""
    fraction: float = Field(default=1.0, gt=0, le=1)
    """The fraction of the training split to use; smaller fractions are subsets of larger ones."""
    limit: int | None = Field(default=None, ge=1)
    """Largest number of images of the test and validation splits, for trials."""
    folds: int | None = Field(default=None, ge=2)
    """Cross-validation: pools the images of all splits above and divides them into this number of folds. Each fold is
    tested by networks trained on the others. None by default."""
    fold_groups: FoldGroups | None = None
    """Images that stay together in one fold, such as those of a patient, a city or a video; none by default."""
    allow: tuple[AllowedKind, ...] | None = None
    """Findings of the check that do not stop a run: ``one-class`` (all labels of a split), ``absent-class`` (in no
    label), ``void`` (more than half of a split, or wide by default), ``same-picture`` (in two splits), ``lossy`` (void
    that a lossy format invented); none by default."""

    @field_validator("allow", mode="before")
    @classmethod
    def _known_kinds(cls, given: Any) -> Any:
        known = get_args(AllowedKind)
        for index, kind in enumerate(given if isinstance(given, list | tuple) else ()):
            if kind not in known:
                text = f"cannot be allowed{did_you_mean(str(kind), known)}"
                raise line_error(cls.__name__, (index,), text, kind)
        return given

    @model_validator(mode="after")
    def _groups_of_folds(self) -> DatasetEntry:
        if self.fold_groups is not None and self.folds is None:
            raise line_error(type(self).__name__, ("fold_groups",), "needs dataset.folds, the number of folds", ...)
        return self

    @property
    def named_splits(self) -> tuple[str, ...]:
        """The named splits without duplicates."""
        named = (self.train_split, self.validation_split, self.test_split)
        return tuple(dict.fromkeys(split for split in named if split is not None))


class TransformEntry(Component):
    """One step of preprocessing or augmentation."""

    registry = TRANSFORMS


class LossEntry(Component):
    """One term of the loss."""

    registry = LOSSES

    weight: float = Field(default=1.0, gt=0)
    """The factor of this term in the sum."""


class OptimizerEntry(Component):
    """The optimizer and its options."""

    registry = OPTIMIZERS

    groups: tuple[ParameterGroup, ...] | None = None
    """Groups of parameters, by name patterns, with their own learning rate or weight decay; none by default."""


class MetricEntry(Component):
    """A metric of confusion matrices, in addition to the scores of every table."""

    registry = METRICS

    label: str = ""
    """Name of its column; the last part of the name by default."""

    @model_validator(mode="before")
    @classmethod
    def _default_label(cls, given: Any) -> Any:
        given = flat(given)
        if isinstance(given, Mapping) and not given.get("label") and isinstance(given.get("name"), str):
            return {**given, "label": re.split("[.:]", given["name"])[-1]}
        return given


class ScheduleEntry(Component):
    """The learning-rate schedule."""

    registry = SCHEDULES

    warmup_steps: int = Field(default=0, ge=0)
    """Steps of linear warm-up from ``warmup_start``."""
    warmup_start: float = Field(default=0.0, ge=0)
    """The learning rate of the first warm-up step."""


def flat(given: Any) -> Any:
    """Return a component as a flat mapping of name and options; other values are unchanged."""
    if isinstance(given, str):
        return {"name": given}
    if isinstance(given, Mapping) and isinstance(given.get("options"), Mapping):
        return {**given["options"], **{key: value for key, value in given.items() if key != "options"}}
    return given


def find_entry(registry: Registry, name: str) -> Entry:
    """Return a registered entry; an unknown name is an error at the key ``name``."""
    try:
        return registry.find(name).entry
    except UnknownNameError as error:
        raise line_error(registry.kind, ("name",), str(error), name) from None


@cache
def options_schema(entry: Entry) -> type[BaseModel]:
    """Return a pydantic model of a factory's options, built from its signature."""
    signature = entry.signature
    known = _ANNOTATIONS | _BOUNDED if entry.built_in else _ANNOTATIONS
    fields: dict[str, Any] = {
        option.name: (_annotation(option, known), Field(option.default, description=option.help or None))
        for option in signature.parameters
    }
    config = ConfigDict(
        extra="allow" if signature.open else "forbid",
        protected_namespaces=(),
        validate_default=True,
        allow_inf_nan=False,
    )
    return create_model(entry.name, __config__=config, **fields)


def _annotation(option: Parameter, known: Mapping[str, Any]) -> Any:
    """Evaluate an annotation of known types; other annotations are not checked.

    The source belongs to an installed package, whose import would run it anyway. ``eval`` avoids the import and only
    knows the given names.
    """
    try:
        return eval(option.annotation, {"__builtins__": {}}, dict(known))  # noqa: S307 - see above
    except (NameError, AttributeError, TypeError):
        return Any


def _name_schemas(registry: Registry) -> list[dict[str, Any]]:
    """Return the schemas of a component written as a bare name."""
    names = registry.entries()
    families = [{"type": "string", "pattern": f"^{re.escape(name)}."} for name in names if name.endswith(":")]
    return [{"type": "string", "enum": [name for name in names if not name.endswith(":")]}, *families]


def _entry_schema(entry: Entry, own: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of one component; any options are allowed if its source cannot be read."""
    name = {"pattern": f"^{re.escape(entry.name)}."} if entry.name.endswith(":") else {"const": entry.name}
    common = {"type": "object", "title": entry.name}
    shared = {"name": {"type": "string", **name}, **own}
    try:
        options = options_schema(entry).model_json_schema()
    except UsageError as error:
        return {**common, "description": str(error), "properties": shared, "required": ["name"]}
    return {
        **common,
        "description": entry.signature.summary,
        "properties": {**shared, **options.get("properties", {})},
        "required": ["name", *options.get("required", [])],
        "additionalProperties": entry.signature.open,
    }
