"""Setting dotted keys in a suite's mapping, as ``--set`` and ``grid`` do."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from segbench.errors import SuiteError


def set_key(document: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key in a suite's mapping; a model is named by its label, name or position.

    Raises:
        SuiteError: The key leads through something that has no keys.
    """
    *path, last = key.split(".")
    place: Any = document
    for part in path:
        place = _step(place, part, key)
    if isinstance(place, list):
        place[_position(place, last, key)] = value
    elif isinstance(place, dict):
        place[last] = value
    else:
        raise SuiteError(f"cannot be set: {path[-1]!r} is a plain value without keys", key=key)


def with_keys(document: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a suite's mapping in which dotted keys are set."""
    copy = deepcopy(dict(document))
    for key, value in values.items():
        set_key(copy, key, deepcopy(value))
    return copy


def _step(place: Any, part: str, key: str) -> Any:
    """Return what stands below one part of a key; a component written as its bare name gets keys."""
    if isinstance(place, list):
        where: Any = _position(place, part, key)
    elif isinstance(place, dict):
        where = part
        if place.get(part) is None:
            place[part] = {}
    else:
        raise SuiteError(f"cannot be set: there are no keys below {part!r}", key=key)
    if isinstance(place[where], str):
        place[where] = {"name": place[where]}
    return place[where]


def _position(entries: list[Any], part: str, key: str) -> int:
    if part.isdecimal() and int(part) < len(entries):
        return int(part)
    names = [_name(entry) for entry in entries]
    if part not in names:
        there = ", ".join(f"{index} ({name})" if name else str(index) for index, name in enumerate(names))
        raise SuiteError(f"nothing here is called {part!r}; there is {there or 'nothing'}", key=key)
    return names.index(part)


def _name(entry: Any) -> str | None:
    if isinstance(entry, str):
        return entry
    return entry.get("label") or entry.get("name") if isinstance(entry, dict) else None
