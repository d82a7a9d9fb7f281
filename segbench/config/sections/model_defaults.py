"""Applies a suite's default options to all its networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from segbench.config.component import flat, options_schema
from segbench.config.reading.validation_errors import line_error
from segbench.errors import UnknownNameError, did_you_mean
from segbench.registry import MODELS


def with_defaults(models: Sequence[Any], defaults: Mapping[str, Any]) -> list[Any]:
    """Return model entries with the defaults added that their factories accept and that they do not set.

    Invalid entries are returned unchanged; they are validated later.

    Args:
        models: The value of ``models``.
        defaults: The value of ``defaults``.

    Raises:
        ValidationError: No model accepts one of the defaults; located at ``defaults``.
    """
    entries = [_flat(model) for model in models]
    known = [_option_names(entry) for entry in entries]
    everything = {name for names in known for name in names or ()}
    checkable = bool(entries) and None not in known
    for key, value in defaults.items():
        if checkable and key not in everything:
            text = f"no model has this option{did_you_mean(str(key), everything)}"
            raise line_error("defaults", ("defaults", str(key)), text, value)
    return [
        model if names is None else {key: value for key, value in defaults.items() if key in names} | entry
        for model, entry, names in zip(models, entries, known, strict=True)
    ]


def _flat(model: Any) -> Any:
    return flat(model.model_dump() if isinstance(model, BaseModel) else model)


def _option_names(entry: Any) -> set[str] | None:
    """Return the options that can have defaults; None for an unknown model."""
    if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
        return None
    try:
        return {*options_schema(MODELS.find(entry["name"])[0]).model_fields, "pad_to"}
    except UnknownNameError:
        return None
