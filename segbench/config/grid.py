"""Expands a grid: yields a suite's mapping with each combination of values."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from math import prod
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError

from segbench.config.reading.dotted_keys import with_keys
from segbench.config.reading.validation_errors import line_error, mistakes
from segbench.errors import SuiteError

MOST_POINTS = 10_000
"""Most combinations of a grid; each is checked before anything runs."""

Checked = TypeVar("Checked")


class Refused(NamedTuple):
    """Why a grid point is not a valid suite."""

    key: str
    problem: str


def expand(
    document: Mapping[str, Any],
    grids: Sequence[Mapping[str, Sequence[Any]]],
    *,
    validate: Callable[[Mapping[str, Any]], Checked],
    at: tuple[str | int, ...] = ("grid",),
) -> list[tuple[dict[str, Any], Checked]]:
    """Return each combination of each grid's values with the resulting suite; the last key varies fastest.

    Args:
        document: The suite as written.
        grids: Each has lists of values by dotted key; a point of two grids is listed once.
        validate: Validates a mapping and returns a suite.
        at: Location of the grids in the suite.

    Raises:
        ValidationError: A key has no values, or a combination is not a valid suite; located at the grid.
    """
    base = {key: value for key, value in document.items() if key != "grid"}
    places = [at] if len(grids) == 1 else [(*at, number) for number in range(len(grids))]
    parts = list(zip(places, grids, strict=True))
    for place, grid in parts:
        _check_keys(grid, place)
    if (count := sum(prod(map(len, grid.values())) for grid in grids)) > MOST_POINTS:
        raise line_error("grid", at, f"has {count:,} combinations; at most {MOST_POINTS:,} are possible", ...)
    found: list[tuple[dict[str, Any], Checked]] = []
    for place, grid in parts:
        of_others = {_mark(point) for point, _ in found}
        points = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
        found += [(point, _variant(base, point, validate, place)) for point in points if _mark(point) not in of_others]
    return found


def _mark(point: Mapping[str, Any]) -> str:
    return json.dumps(point, sort_keys=True, default=str)


def _check_keys(grid: Mapping[str, Sequence[Any]], at: tuple[str | int, ...]) -> None:
    """Refuse keys without values, and those that are about the whole suite."""
    for key, values in grid.items():
        if not values:
            raise line_error("grid", (*at, key), "needs at least one value", [])
        if key.partition(".")[0] in ("grid", "tuning", "name", "description"):
            raise line_error("grid", (*at, key), "cannot vary: it is the same for the whole suite", values)


def _variant(
    base: Mapping[str, Any],
    point: dict[str, Any],
    validate: Callable[[Mapping[str, Any]], Checked],
    at: tuple[str | int, ...],
) -> Checked:
    try:
        return validate(with_keys(base, point))
    except SuiteError as error:
        refused = Refused(error.key, error.problem)
    except ValidationError as error:
        refused = Refused(*mistakes(error)[0])
    chosen = ", ".join(f"{key}={value!r}" for key, value in point.items())
    raise line_error("grid", at, f"with {chosen}: {refused.key}: {refused.problem}", ...)
