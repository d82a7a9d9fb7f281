"""Catalogues of named things: what exists is known without importing it, so that suites are checked at once.

A catalogue is a dict ``name -> "package.module:attribute"`` in the package that owns the things, joined by an
entry-point group for third parties. A name that ends in a colon is a family: ``torchvision:`` answers for
``torchvision:fcn_resnet50`` and passes what follows the colon to its factory as the argument ``target``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.metadata import entry_points
from typing import Any, NamedTuple

from segbench.errors import UnknownNameError
from segbench.signature import Signature, read_signature


@dataclass(frozen=True)
class Entry:
    """One named factory, not yet imported."""

    name: str
    reference: str

    def load(self) -> Callable[..., Any]:
        """Import the factory: a function, or a class of options with a method ``build``."""
        module, _, attribute = self.reference.partition(":")
        factory: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
        return factory

    @cached_property
    def signature(self) -> Signature:
        """The factory's options, read from its source without importing its module."""
        return read_signature(self.reference)


class Match(NamedTuple):
    """What a name stands for.

    Attributes:
        entry: The member that answers for it.
        target: What follows the colon of a family's name; None where the member is no family.
    """

    entry: Entry
    target: str | None


@dataclass(frozen=True)
class Registry:
    """One catalogue.

    Attributes:
        kind: What its members are called in messages, such as ``model``.
        catalog: ``package:ATTRIBUTE`` of the dict that lists the built-in members.
        group: Entry-point group through which other packages add members, or None.
    """

    kind: str
    catalog: str
    group: str | None = None

    @property
    def plural(self) -> str:
        """What several members are called."""
        return self.kind + ("es" if self.kind.endswith("s") else "s")

    def entries(self) -> dict[str, Entry]:
        """Return every member by name, the built-in ones first."""
        package, _, attribute = self.catalog.partition(":")
        table: dict[str, str] = getattr(importlib.import_module(package), attribute)
        found = {name: Entry(name, reference) for name, reference in table.items()}
        if self.group:
            for name, reference in _installed(self.group).items():
                found.setdefault(name, Entry(name, reference))
        return found

    def complete_names(self) -> list[str]:
        """Return the names that need no further name and no option."""
        return [
            name
            for name, entry in self.entries().items()
            if not name.endswith(":") and all(parameter.default is not ... for parameter in entry.signature.parameters)
        ]

    def find(self, name: str) -> Match:
        """Return the member that answers for a name.

        Raises:
            UnknownNameError: No member has this name; the nearest one is named.
        """
        known = self.entries()
        if name in known and not name.endswith(":"):
            return Match(known[name], None)
        family, colon, target = name.partition(":")
        if colon and target and family + colon in known:
            return Match(known[family + colon], target)
        raise UnknownNameError(self.kind, name, known)

    def is_foreign(self, name: str) -> bool:
        """Return whether a member is from elsewhere: named by its import path, or added by another package.

        Raises:
            UnknownNameError: No member has this name.
        """
        entry = self.find(name).entry
        package = __name__.partition(".")[0]
        return entry.name == "python:" or not entry.reference.startswith(f"{package}.")

    def create(self, name: str, *arguments: Any, **options: Any) -> Any:
        """Import a member and call it."""
        found = self.find(name)
        if found.target is not None:
            options["target"] = found.target
        factory = found.entry.load()
        if isinstance(factory, type):
            return factory(**options).build(*arguments)
        return factory(*arguments, **options)


MODELS = Registry("model", "segbench.models:CATALOG", "segbench.models")
DATASETS = Registry("dataset", "segbench.data:CATALOG", "segbench.datasets")
TRANSFORMS = Registry("transform", "segbench.data:TRANSFORMS", "segbench.transforms")
LOSSES = Registry("loss", "segbench.engine:LOSSES", "segbench.losses")
OPTIMIZERS = Registry("optimizer", "segbench.engine:OPTIMIZERS", "segbench.optimizers")
SCHEDULES = Registry("schedule", "segbench.engine:SCHEDULES", "segbench.schedules")
METRICS = Registry("metric", "segbench.metrics:METRICS", "segbench.metrics")

CATALOGS = {
    registry.plural: registry for registry in (MODELS, DATASETS, TRANSFORMS, LOSSES, OPTIMIZERS, SCHEDULES, METRICS)
}
"""Every catalogue, by what its members are called."""


@cache
def _installed(group: str) -> dict[str, str]:
    """Return what installed packages offer in an entry-point group."""
    return {point.name: point.value for point in entry_points(group=group)}
