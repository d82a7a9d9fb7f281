"""Names of tables in a joint view: the suite, and what the suite's grid changes in its recipe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from segbench.config.titles import DISTILL_KEY, concerns_model, in_words, recipe_values
from segbench.report.document.summary import Judged
from segbench.report.runs.teachers import distilled_in_words
from segbench.report.text import is_absent, name_of_test_data, short_id

UNCHANGED = "recipe unchanged"
"""The table of a suite in whose recipe its grid changes nothing."""


def in_order(tables: Sequence[Judged], suites: Iterable[str]) -> list[Judged]:
    """Return tables suite by suite: the unchanged recipe first, then by what is changed.

    Args:
        tables: The tables.
        suites: The names of the suites in their order; may repeat.
    """
    order = list(dict.fromkeys(map(str, suites)))
    return sorted(tables, key=lambda table: (order.index(_suite(table)), _sortable(_point(table))))


def names_of(tables: Sequence[Judged]) -> list[str]:
    """Return a name of its own for each table.

    A suite's only table has the suite's name. Several are told apart by what the suite's grid changes: in short where
    that suffices, else with all options, else by protocol and test data.
    """
    suites = Counter(map(_suite, tables))
    originals = {_suite(table): table for table in reversed(tables) if not _point(table)}
    short = [_in_short(table, originals.get(_suite(table))) for table in tables]
    kinds = [short, [_with_options(table) for table in tables], [_by_id(table) for table in tables]]
    names = []
    for number, suite in enumerate(map(_suite, tables)):
        same = [other for other, table in enumerate(tables) if _suite(table) == suite]
        own = [words[number] for words in kinds if sum(words[other] == words[number] for other in same) == 1]
        changes = own[0] if own else kinds[-1][number]
        names.append(suite if suites[suite] == 1 else f"{suite}: {changes}" if len(suites) > 1 else changes)
    return names


def _in_short(table: Judged, original: Judged | None) -> str:
    """Return what a grid changes: components by name, lists of steps by what they add to the original ones or lose."""
    point = _point(table)
    if any(key.startswith(DISTILL_KEY) for key in point):
        return _with_options(table)
    recipe, before = (None if one is None else one.runs["recipe"].iloc[0] for one in (table, original))
    return (
        ", ".join(_changed(key, value, _at(recipe, key), _at(before, key)) for key, value in point.items()) or UNCHANGED
    )


def _changed(key: str, value: Any, steps: Any, before: Any) -> str:
    """Return one change in short.

    Args:
        key: The key of the grid.
        value: Its value, as the suite has it.
        steps: The recipe's own value of this key, with all defaults.
        before: That of the unchanged recipe.
    """
    if key.startswith("transforms.") and isinstance(steps, list) and isinstance(before, list):
        added = [_component(step) for step in steps if step not in before]
        lost = [_component(step) for step in before if step not in steps]
        if set(added).isdisjoint(lost) and (added or lost):
            signed = [*(f"+ {name}" for name in added), *(f"- {name}" for name in lost)]
            return f"{key.rpartition('.')[2]} steps {' '.join(signed)}"
        return recipe_values({key: value})
    return in_words({key: _component(value)})


def _component(value: Any) -> Any:
    """Return a component's name, several joined; other values as they are."""
    if isinstance(value, Mapping) and "name" in value:
        return value["name"]
    if isinstance(value, list) and value and all(isinstance(part, str | Mapping) for part in value):
        return " + ".join(str(_component(part)) for part in value)
    return value


def _at(recipe: Any, key: str) -> Any:
    """Return the value of a recipe at a dotted key; None where it has none."""
    for part in key.split("."):
        recipe = recipe.get(part) if isinstance(recipe, Mapping) else None
    return recipe


def _with_options(table: Judged) -> str:
    words = (recipe_values(_point(table)), distilled_in_words(table.runs))
    return "; ".join(part for part in words if part) or UNCHANGED


def _by_id(table: Judged) -> str:
    return f"protocol {short_id(table.table.protocol)}, {name_of_test_data(table.table.test_data)}"


def _suite(table: Judged) -> str:
    return str(table.runs["suite"].iloc[0])


def _point(table: Judged) -> dict[str, Any]:
    """Return what the grid changes in the recipe of a table; nothing where no grid made it."""
    point: Mapping[str, Any] = next((point for point in table.runs["point"] if not is_absent(point)), {})
    return {key: value for key, value in point.items() if not concerns_model(key)}


def _sortable(point: Mapping[str, Any]) -> tuple[tuple[str, bool, float, str], ...]:
    """Return what a grid's values are sorted by: keys, then numbers by size, then others as text."""
    numbers = {key: isinstance(value, int | float) for key, value in point.items()}
    return tuple(
        (key, not numbers[key], float(value) if numbers[key] else 0.0, str(value)) for key, value in point.items()
    )
