"""Compares a leaderboard's JSON with the one that its runs give."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from segbench.errors import UsageError
from segbench.report.formats.tables import JSON_SCHEMA_VERSION, to_json

_TOLERANCE = 1e-9
"""Relative difference of equal numbers, which may be summed in another order elsewhere."""


def differences(text: str, board: pd.DataFrame, *, source: str) -> list[str]:
    """Return how the rows of a leaderboard's JSON differ from those of a leaderboard; empty if they do not.

    Args:
        text: The JSON, as ``to_json`` writes it.
        board: What ``leaderboard`` returns for the runs.
        source: Where the JSON is from, for messages.

    Raises:
        UsageError: The text is no leaderboard's JSON, or one of another version.
    """
    given = _rows(text, source)
    expected = json.loads(to_json(board))["rows"]
    here, there = _by_name(expected), _by_name(given)
    lines = [f"{name}: is not among the runs" for name in there if name not in here]
    lines += [f"{name}: is not in {source}" for name in here if name not in there]
    for name in there.keys() & here.keys():
        lines += [
            f"{name}: {key} is {_short(there[name].get(key))} in {source}; its runs give {_short(value)}"
            for key, value in here[name].items()
            if not _same(there[name].get(key), value)
        ]
    return sorted(lines)


def _rows(text: str, source: str) -> list[dict[str, Any]]:
    try:
        document = json.loads(text)
        version, rows = document["schema_version"], document["rows"]
        known = [row for row in rows if isinstance(row["model"], str) and isinstance(row["status"], str)]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UsageError(f"{source}: is no leaderboard of segbench: expected leaderboard.json of a report") from None
    if version != JSON_SCHEMA_VERSION:
        raise UsageError(f"{source}: has version {_short(version)}; this segbench compares {JSON_SCHEMA_VERSION}")
    return known


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
    if isinstance(given, float | int) and isinstance(expected, float | int):
        return math.isclose(given, expected, rel_tol=_TOLERANCE)
    if isinstance(given, list) and isinstance(expected, list):
        return len(given) == len(expected) and all(map(_same, given, expected))
    if isinstance(given, dict) and isinstance(expected, dict):
        return given.keys() == expected.keys() and all(_same(given[key], value) for key, value in expected.items())
    return bool(given == expected)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
