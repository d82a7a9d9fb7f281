"""Names of tables in a joint view: the suite, and what the suite's grid changes in its recipe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from segbench.config.titles import concerns_model, in_words, recipe_values
from segbench.report.runs.protocols import Comparison
from segbench.report.text import is_absent, name_of_test_data, short_id

UNCHANGED = "recipe unchanged"
"""The table of a suite in whose recipe its grid changes nothing."""


def in_order(tables: Sequence[Comparison], suites: Iterable[str]) -> list[Comparison]:
    """Return tables suite by suite: the unchanged recipe first, then by what is changed.

    Args:
        tables: The tables.
        suites: The names of the suites in their order; may repeat.
    """
    suites = list(dict.fromkeys(suites))
    return sorted(tables, key=lambda table: (suites.index(_suite(table)), list(_point(table)), _with_options(table)))


def names_of(tables: Sequence[Comparison]) -> list[str]:
    """Return a name of its own for each table.

    A suite's only table has the suite's name. Several are told apart by what the suite's grid changes: in short where
    that suffices, else with all options, else by protocol and test data.
    """
    suites = Counter(map(_suite, tables))
    originals = {_suite(table): table for table in reversed(tables) if not _point(table)}
    short = [_in_short(table, originals.get(_suite(table))) for table in tables]
    kinds = [short, [_with_options(table) for table in tables], [_by_id(table) for table in tables]]
    names = []
    for place, suite in enumerate(map(_suite, tables)):
        same = [other for other, table in enumerate(tables) if _suite(table) == suite]
        own = [words[place] for words in kinds if sum(words[other] == words[place] for other in same) == 1]
        words = (own or [kinds[-1][place]])[0]
        names.append(suite if suites[suite] == 1 else f"{suite}: {words}" if len(suites) > 1 else words)
    return names


def _in_short(table: Comparison, original: Comparison | None) -> str:
    """Return what a table's recipe changes in the original one: components by name, steps by what they add or lose."""
    recipe, before = (None if one is None else one.runs["recipe"].iloc[0] for one in (table, original))
    return ", ".join(_changed(key, _at(recipe, key), _at(before, key)) for key in _point(table)) or UNCHANGED


def _changed(key: str, value: Any, original: Any) -> str:
    if key.startswith("transforms") and isinstance(value, list) and isinstance(original, list):
        added = [f"+ {_component(step)}" for step in value if step not in original]
        lost = [f"- {_component(step)}" for step in original if step not in value]
        return " ".join([key.partition(".")[2], *added, *lost])
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


def _with_options(table: Comparison) -> str:
    return recipe_values(_point(table)) or UNCHANGED


def _by_id(table: Comparison) -> str:
    return f"protocol {short_id(table.protocol)}, {name_of_test_data(table.test_data)}"


def _suite(table: Comparison) -> str:
    return str(table.runs["suite"].iloc[0])


def _point(table: Comparison) -> dict[str, Any]:
    """Return what the grid changes in the recipe of a table; nothing where no grid made it."""
    point: Mapping[str, Any] = next((point for point in table.runs["point"] if not is_absent(point)), {})
    return {key: value for key, value in point.items() if not concerns_model(key)}
