"""The JSON Schema of a suite, with which editors complete keys and mark mistakes."""

from __future__ import annotations

from typing import Any

from segbench.config.suite import Suite


def suite_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a suite file, every registered component with its options included."""
    schema = Suite.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "segbench suite"}
