"""Sets dotted keys in a suite's mapping, for ``--set`` and ``grid``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

from segbench.config.reading.yaml_loader import MOST_LEVELS
from segbench.errors import SuiteError, did_you_mean

MODEL_OF_SUITE = "model of this suite:"
"""Context of an unknown model name given to a command."""


class Named(NamedTuple):
    """Names of an entry of a list.

    Attributes:
        label: The name of its row; empty for an entry without a name.
        name: Its registered name.
    """

    label: str
    name: str


def matching(wanted: str, entries: Sequence[Named]) -> tuple[int, ...]:
    """Return the indices of the entries that a word matches; several if it is ambiguous.

    Labels take precedence over registered names, and exact spelling over other capitalisation.
    """
    lowered = wanted.lower()
    exact = [index for index, entry in enumerate(entries) if entry.label == wanted]
    labelled = [index for index, entry in enumerate(entries) if entry.label.lower() == lowered]
    named = [index for index, entry in enumerate(entries) if entry.name.lower() == lowered]
    return tuple(exact[:1] or labelled or named) if wanted else ()


def set_key(document: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key in a suite's mapping; models are given by index, label or unique name.

    Raises:
        SuiteError: A part of the key has no keys below it.
    """
    *path, last = key.split(".")
    if len(path) > MOST_LEVELS:
        raise SuiteError(f"cannot be set: the key has more than {MOST_LEVELS} parts", key=f"{key[:40]}...")
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
    """Return a copy of a suite's mapping with dotted keys set."""
    copy = deepcopy(dict(document))
    for key, value in values.items():
        set_key(copy, key, deepcopy(value))
    return copy


def _step(place: Any, part: str, key: str) -> Any:
    """Return the value below one part of a key; a component written as a bare name becomes a mapping."""
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
    named = [_named(entry) for entry in entries]
    found = matching(part, named)
    if len(found) == 1:
        return found[0]
    there = ", ".join(f"{index} ({entry.label})" if entry.label else str(index) for index, entry in enumerate(named))
    if found:
        raise SuiteError(f"several entries here are {part!r}; name one by its label: there is {there}", key=key)
    near = did_you_mean(part, [name for entry in named for name in entry if name]).partition(";")[0]
    raise SuiteError(
        f"nothing here is called {part!r}{near}{' There' if near else '; there'} is {there or 'nothing'}", key=key
    )


def _named(entry: Any) -> Named:
    if isinstance(entry, str):
        return Named(entry, entry)
    if not isinstance(entry, dict):
        return Named("", "")
    name = str(entry.get("name") or "")
    return Named(str(entry.get("label") or name), name)
