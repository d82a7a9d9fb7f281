"""A component: a registered name with its options, checked against its factory's signature without importing it."""

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

from segbench.config.reading.validation_errors import line_error, refuse_misplaced_booleans, unknown_keys
from segbench.config.sections.classes_map import normalised
from segbench.config.sections.fold_groups import FoldGroups
from segbench.config.sections.parameter_groups import ParameterGroup
from segbench.errors import UnknownNameError, UsageError, did_you_mean
from segbench.registry import DATASETS, LOSSES, METRICS, MODELS, OPTIMIZERS, SCHEDULES, TRANSFORMS, Entry, Registry
from segbench.signature import Parameter

SOURCE_KEY = "python: source"
"""Where the digest of the source of a ``python:`` part stands in a recipe or a model; no option can have this name."""

ADAPTING_KEYS = ("pad_to", "output")
"""What a model's entry says of how its network is used, beside its options; none of it changes its weights."""

_ANNOTATIONS: dict[str, Any] = {
    "Any": Any,
    "Literal": Literal,
    "Mapping": Mapping,
    "Path": Path,
    **{kind.__name__: kind for kind in (bool, dict, float, int, list, str, tuple)},
}


class Options(dict[str, Any]):
    """Every option of a component, with the keys that were written; it compares and is stored as a plain dict.

    Args:
        values: The options, defaults included.
        written: Those that are not defaults that nobody wrote.
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
    """Every option of the component, defaults included."""

    @model_validator(mode="before")
    @classmethod
    def _read_flat(cls, given: Any) -> Any:
        """Split what was written into own fields and options, and check the options."""
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
        """Return the keys that every component of this kind has, whatever its name."""
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
        """The options that have their defaults because nobody wrote them; of a stored entry, none is known."""
        options = self.options
        return frozenset(options) - options.written if isinstance(options, Options) else frozenset()

    @model_serializer
    def _write_flat(self) -> dict[str, Any]:
        own = {field: getattr(self, field) for field in self.own_fields()}
        return {key: value for key, value in own.items() if value is not None} | self.options

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> dict[str, Any]:
        """Offer every registered name, each with its own options, to editors."""
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
    """What the row is called; the name by default. Two entries of one name need labels of their own."""
    weights: str | None = Field(default=None, min_length=1)
    """A checkpoint (.safetensors, .pt, .pth) that holds the whole network."""
    strict: bool = True
    """Whether every tensor of the checkpoint has to fit; false takes those that do and lists the others."""
    min_fit: float | None = Field(default=None, gt=0, le=1)
    """With ``strict: false``, the share of the network that has to fit; 0.5 by default."""
    weights_key: str | None = None
    """The dotted key of the weights in the checkpoint, or what their names begin with; found by default."""
    classes_map: dict[str, int | tuple[int, ...]] | tuple[int | tuple[int, ...], ...] | None = None
    """For each class of the data set, the output or outputs of the checkpoint that stand for it, counted from 0, where
    the checkpoint has others; for ``train: null``."""
    pad_to: int | None = Field(default=None, ge=1)
    """Images are padded with zeros (the mean colour after ``normalize``) to a multiple of this, and scores are cropped
    to the image; by default only where the network's family always does."""
    output: str | int | None = None
    """Where the scores are in what a foreign network returns: a key, an index, or several with dots between."""

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
        """Whether any of its weights were trained before this suite."""
        return bool(self.options.get("pretrained")) or self.weights is not None

    @property
    def settings(self) -> dict[str, Any]:
        """The options, with what else of the entry changes what its network computes from its weights."""
        adapted = {key: value for key in ADAPTING_KEYS if (value := getattr(self, key)) is not None}
        return adapted | self.options


AllowedKind = Literal["one-class", "absent-class", "void", "same-picture", "lossy"]
"""What the check of a data set refuses unless the suite allows it."""


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
    """The share of the training split to use; smaller shares are subsets of larger ones."""
    limit: int | None = Field(default=None, ge=1)
    """At most so many images of the test and validation splits, for trials."""
    folds: int | None = Field(default=None, ge=2)
    """Cross-validation: the images of all splits named above are pooled and cut into so many folds, each of which is
    tested by networks that are trained on the others; none by default."""
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
        """The splits that it names, each once."""
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
    """Parameters, by patterns of their names, with a learning rate or a weight decay of their own; none by default."""


class MetricEntry(Component):
    """A metric of confusion matrices, beside the scores that every table has."""

    registry = METRICS

    label: str = ""
    """What its column is called; the last part of the name by default."""

    @model_validator(mode="before")
    @classmethod
    def _default_label(cls, given: Any) -> Any:
        given = flat(given)
        if isinstance(given, Mapping) and not given.get("label") and isinstance(given.get("name"), str):
            return {**given, "label": re.split("[.:]", given["name"])[-1]}
        return given


class ScheduleEntry(Component):
    """How the learning rate goes from step to step."""

    registry = SCHEDULES

    warmup_steps: int = Field(default=0, ge=0)
    """Steps over which the learning rate rises linearly from ``warmup_start``."""
    warmup_start: float = Field(default=0.0, ge=0)
    """The learning rate of the first warm-up step."""


def flat(given: Any) -> Any:
    """Return a component with its options beside its name, however it was written; anything else as it is."""
    if isinstance(given, str):
        return {"name": given}
    if isinstance(given, Mapping) and isinstance(given.get("options"), Mapping):
        return {**given["options"], **{key: value for key, value in given.items() if key != "options"}}
    return given


def find_entry(registry: Registry, name: str) -> Entry:
    """Return a registered entry; an unknown name becomes an error at the key ``name``."""
    try:
        return registry.find(name).entry
    except UnknownNameError as error:
        raise line_error(registry.kind, ("name",), str(error), name) from None


@cache
def options_schema(entry: Entry) -> type[BaseModel]:
    """Return a pydantic model of a factory's options, made from its signature."""
    signature = entry.signature
    fields: dict[str, Any] = {
        option.name: (_annotation(option), Field(option.default, description=option.help or None))
        for option in signature.parameters
    }
    config = ConfigDict(
        extra="allow" if signature.open else "forbid",
        protected_namespaces=(),
        validate_default=True,
        allow_inf_nan=False,
    )
    return create_model(entry.name, __config__=config, **fields)


def _annotation(option: Parameter) -> Any:
    """Evaluate an annotation of plain types; anything else is left unchecked.

    The source is that of an installed package, which importing it would run as well; ``eval`` reads it without the
    import, and with no names but those of plain types.
    """
    try:
        return eval(option.annotation, {"__builtins__": {}}, dict(_ANNOTATIONS))  # noqa: S307 - see above
    except (NameError, AttributeError, TypeError):
        return Any


def _name_schemas(registry: Registry) -> list[dict[str, Any]]:
    """Return the schemas of a component that is written as its bare name."""
    names = registry.entries()
    families = [{"type": "string", "pattern": f"^{re.escape(name)}."} for name in names if name.endswith(":")]
    return [{"type": "string", "enum": [name for name in names if not name.endswith(":")]}, *families]


def _entry_schema(entry: Entry, own: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of one component; one whose source cannot be read takes any options."""
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
