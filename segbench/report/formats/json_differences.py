"""Compares a leaderboard's JSON with the one that its runs give."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from segbench.errors import UsageError
from segbench.report.formats.tables import JSON_SCHEMA_VERSION

_TOLERANCE = 1e-9
"""Relative difference of equal numbers, which may be summed in another order elsewhere."""
_ROWS = "rows"


def differences(given: str, expected: str, *, source: str) -> list[str]:
    """Return how a leaderboard's JSON differs from the one that its runs give; empty if it does not.

    Rows are compared figure by figure, other sections as a whole. ``segbench leaderboard --format json`` writes rows
    alone; what a report has beside them is compared where it is given.

    Args:
        given: The JSON to judge.
        expected: The JSON of a report of the runs.
        source: Where the first is from, for messages.

    Raises:
        UsageError: It is no leaderboard's JSON, or one of another version.
    """
    document, right = _parsed(given, source), json.loads(expected)
    lines = [
        f"{_short(key)}: is not what its runs give" if key in right else f"{_short(key)}: is nothing that its runs give"
        for key in document
        if key != _ROWS and not (key in right and _same(document[key], right[key]))
    ]
    here, there = _by_name(right[_ROWS]), _by_name(document[_ROWS])
    lines += [f"{name}: is not among the runs" for name in there if name not in here]
    lines += [f"{name}: is not in {source}" for name in here if name not in there]
    for name in there.keys() & here.keys():
        mine, theirs = here[name], there[name]
        lines += [
            f"{name}: {key} is {_short(theirs.get(key))} in {source}; its runs give {_short(mine.get(key))}"
            for key in {**mine, **theirs}
            if (key in mine) != (key in theirs) or not _same(theirs[key], mine[key])
        ]
    return sorted(lines)


def _parsed(text: str, source: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
        version, rows = document["schema_version"], document[_ROWS]
        named = all(isinstance(row["model"], str) for row in rows)
    except (ValueError, KeyError, TypeError, RecursionError):
        named, document, version = False, {}, None
    if not named or not isinstance(document, dict):
        raise UsageError(f"{source}: is no leaderboard of segbench: expected the leaderboard.json of a report")
    if version != JSON_SCHEMA_VERSION:
        raise UsageError(f"{source}: has version {_short(version)}; this segbench compares {JSON_SCHEMA_VERSION}")
    return document


def _by_name(rows: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return rows by their network and, where several have its name, their protocol and number."""
    found: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        name = row["model"]
        if name in found:
            name = f"{name} ({str(row.get('protocol'))[:8]})"
        number = 2
        while name in found:
            name, number = f"{row['model']} ({number})", number + 1
        found[name] = row
    return found


def _same(given: Any, expected: Any) -> bool:
    if isinstance(given, list) and isinstance(expected, list):
        return len(given) == len(expected) and all(map(_same, given, expected))
    if isinstance(given, dict) and isinstance(expected, dict):
        return given.keys() == expected.keys() and all(_same(given[key], value) for key, value in expected.items())
    if type(given) is bool or type(expected) is bool or not _are_numbers(given, expected):
        return type(given) is type(expected) and bool(given == expected)
    try:
        return math.isclose(given, expected, rel_tol=_TOLERANCE)
    except OverflowError:  # an integer beyond any float
        return False


def _are_numbers(*values: Any) -> bool:
    return all(isinstance(value, float | int) for value in values)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
