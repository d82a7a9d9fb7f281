"""Names the code that a suite runs and that does not belong to segbench."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from segbench.config.suite import Suite
from segbench.errors import UsageError
from segbench.import_path import FAMILY, NO_CODE
from segbench.registry import CATALOGS


def foreign_modules(suite: Suite) -> dict[str, str]:
    """Return the modules that a suite's parts are imported from, by the names in the suite; nothing is imported.

    Parts are foreign if they are given by an import path (``python:``) or added by another package (entry points).
    """
    added = {
        name: entry.reference.partition(":")[0]
        for registry in CATALOGS.values()
        for name, entry in registry.entries().items()
        if name != FAMILY and registry.is_foreign(name if not name.endswith(":") else f"{name}x")
    }
    return {name: module for name in _names(suite.model_dump(mode="json")) if (module := _module_of(name, added))}


def refuse_foreign_code(suite: Suite) -> None:
    """Refuse a suite that runs foreign code, and forbid such imports in this process and those that it starts.

    Raises:
        UsageError: It does; names the parts.
    """
    os.environ[NO_CODE] = "1"
    if found := foreign_modules(suite):
        raise UsageError(f"--no-code: this suite runs code that is not segbench's: {listed(found)}")


def listed(modules: Mapping[str, str]) -> str:
    """Return parts with their modules, as words."""
    return ", ".join(f"{name} (module {module})" for name, module in modules.items())


def _module_of(name: str, added: Mapping[str, str]) -> str | None:
    if name.startswith(FAMILY):
        return name.removeprefix(FAMILY).rpartition(".")[0]
    family, colon, _ = name.partition(":")
    return added.get(name) or added.get(family + colon)


def _names(value: Any) -> Iterator[str]:
    """Yield the names of all parts of a document, and whatever else is spelled as an import path."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            if isinstance(part, str) and (key == "name" or part.startswith(FAMILY)):
                yield part
            else:
                yield from _names(part)
    elif isinstance(value, list):
        for part in value:
            yield from [part] if isinstance(part, str) and part.startswith(FAMILY) else _names(part)
