"""Expands a grid: yields a suite's mapping with each combination of values."""

from __future__ import annotations

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
    grid: Mapping[str, Sequence[Any]],
    *,
    validate: Callable[[Mapping[str, Any]], Checked],
    at: tuple[str, ...] = ("grid",),
) -> list[tuple[dict[str, Any], Checked]]:
    """Return each combination of the grid's values with the resulting suite; the last key varies fastest.

    Args:
        document: The suite as written.
        grid: Lists of values by dotted key.
        validate: Validates a mapping and returns a suite.
        at: Location of the grid in the suite.

    Raises:
        ValidationError: A key has no values, or a combination is not a valid suite; located at the grid.
    """
    base = {key: value for key, value in document.items() if key != "grid"}
    for key, values in grid.items():
        if not values:
            raise line_error("grid", (*at, key), "needs at least one value", [])
        if key.partition(".")[0] in ("grid", "tuning", "name", "description"):
            raise line_error("grid", (*at, key), "cannot vary: it is the same for the whole suite", values)
    if (count := prod(map(len, grid.values()))) > MOST_POINTS:
        raise line_error("grid", at, f"has {count:,} combinations; at most {MOST_POINTS:,} are possible", ...)
    points = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
    return [(point, _variant(base, point, validate, at)) for point in points]


def _variant(
    base: Mapping[str, Any],
    point: dict[str, Any],
    validate: Callable[[Mapping[str, Any]], Checked],
    at: tuple[str, ...],
) -> Checked:
    try:
        return validate(with_keys(base, point))
    except SuiteError as error:
        refused = Refused(error.key, error.problem)
    except ValidationError as error:
        refused = Refused(*mistakes(error)[0])
    chosen = ", ".join(f"{key}={value!r}" for key, value in point.items())
    raise line_error("grid", at, f"with {chosen}: {refused.key}: {refused.problem}", ...)
