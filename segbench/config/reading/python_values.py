"""Converts a suite written in Python to plain YAML values."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from types import FunctionType
from typing import Any

from pydantic import BaseModel

from segbench.config.reading.definitions import name_of
from segbench.errors import SuiteError, UsageError


def plain_values(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a suite's mapping with YAML types only.

    Paths become text, tuples and ranges become lists, NumPy numbers become Python numbers. Classes and functions become
    their ``python:`` names, and such a network is labelled by its own name.

    Raises:
        SuiteError: A key is not text, or a value has an unsupported type.
    """
    plain: dict[str, Any] = _plain(document, "")
    models = plain.get("models")
    if isinstance(models, list):
        given = list(document["models"])
        plain["models"] = [_labelled(entry, written) for entry, written in zip(models, given, strict=True)]
    return plain


def _labelled(entry: Any, written: Any) -> Any:
    """Return a model's entry; if given as a class or function, it is labelled by its name."""
    callable_given = written.get("name") if isinstance(written, Mapping) else written
    if isinstance(callable_given, str) or not callable(callable_given):
        return entry
    flat = entry if isinstance(entry, dict) else {"name": entry}
    return {**flat, "label": flat.get("label") or str(flat["name"]).rpartition(".")[2]}


def _plain(value: Any, key: str) -> Any:
    if value is None or isinstance(value, bool | int | float | str | BaseModel):
        return value
    if isinstance(value, Mapping):
        return {_key(name, key): _plain(part, f"{key}.{name}" if key else name) for name, part in value.items()}
    if isinstance(value, list | tuple | range):
        return [_plain(part, f"{key}[{index}]") for index, part in enumerate(value)]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, type | FunctionType | partial):
        return _name(value, key)
    if hasattr(value, "tolist"):  # NumPy's arrays and numbers
        return value.tolist()
    hint = "; give the class, or a function that makes it" if callable(value) else ""
    raise SuiteError(f"expected a value that a YAML file could hold, not a {type(value).__name__}{hint}", key=key)


def _key(name: Any, key: str) -> str:
    if not isinstance(name, str):
        raise SuiteError(f"expected keys that are text (given {name!r})", key=key)
    return name


def _name(value: Callable[..., Any], key: str) -> str:
    try:
        return name_of(value)
    except UsageError as error:
        raise SuiteError(str(error), key=key) from None
