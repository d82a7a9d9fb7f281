"""Types of suite keys that take one value or a list."""

from __future__ import annotations

from typing import Any

from pydantic import Field


def _alone_or_in_a_list(schema: dict[str, Any]) -> None:
    """Extend the JSON Schema of a list to also accept a single item."""
    listed = {key: schema.pop(key) for key in ("type", "items", "minItems") if key in schema}
    schema["anyOf"] = [listed["items"], listed]


ONE_OR_SEVERAL: Any = Field(min_length=1, json_schema_extra=_alone_or_in_a_list)
"""Annotation for a tuple that may be written as a single value."""
