"""The JSON Schema of a suite, for completion and validation in editors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from segbench.config.component import Component
from segbench.config.sections.training import Section
from segbench.config.suite import Suite

_FROM_ENVIRONMENT = {"type": "string", "pattern": r"^\$\{.*\}$"}
"""A value that is replaced by an environment variable before validation."""

_VALUES = frozenset({"default", "const", "enum", "examples"})
"""Keys of a schema that contain values instead of schemas."""


def suite_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a suite file, with all registered components and their options."""
    schema = Suite.model_json_schema()
    for kind, name in _default_components(Suite):
        _make_name_optional(schema["$defs"][kind.__name__], name)
    filled: dict[str, Any] = _with_variables(schema)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **filled, "title": "segbench suite"}


def _default_components(section: type[Section]) -> Iterator[tuple[type[Component], str]]:
    """Yield the components of a section that have a default name, with that name."""
    for field in section.model_fields.values():
        for kind in _classes(field.annotation):
            if issubclass(kind, Component) and isinstance(field.default, str):
                yield kind, field.default
            elif issubclass(kind, Section):
                yield from _default_components(kind)


def _classes(annotation: Any) -> list[type]:
    """Return the classes of an annotation: one, or the members of its union."""
    members = getattr(annotation, "__args__", (annotation,)) if not isinstance(annotation, type) else (annotation,)
    return [member for member in members if isinstance(member, type)]


def _make_name_optional(component: dict[str, Any], name: str) -> None:
    for member in component["anyOf"]:
        if member.get("title") == name:
            member["required"] = [key for key in member["required"] if key != "name"]


def _with_variables(schema: Any) -> Any:
    """Return a schema that also allows ``${VARIABLE}`` for numbers and booleans."""
    if isinstance(schema, list):
        return [_with_variables(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") in ("integer", "number", "boolean"):
        about = {key: schema[key] for key in ("title", "description", "default") if key in schema}
        return {**about, "anyOf": [{key: schema[key] for key in schema if key not in about}, _FROM_ENVIRONMENT]}
    return {key: part if key in _VALUES else _with_variables(part) for key, part in schema.items()}
