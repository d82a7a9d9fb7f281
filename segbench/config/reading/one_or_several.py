"""Keys of a suite that take one thing or a list of several."""

from __future__ import annotations

from typing import Any

from pydantic import Field


def _alone_or_in_a_list(schema: dict[str, Any]) -> None:
    """Let a JSON Schema of a list also take one of its items."""
    listed = {key: schema.pop(key) for key in ("type", "items", "minItems") if key in schema}
    schema["anyOf"] = [listed["items"], listed]


ONE_OR_SEVERAL: Any = Field(min_length=1, json_schema_extra=_alone_or_in_a_list)
"""Of a tuple that a validator makes of one thing, too."""
