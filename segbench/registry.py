"""Catalogues of named components, which are known without importing them, so suites are validated quickly.

A catalogue is a dict ``name -> "package.module:attribute"`` in the package of the components, extended by an
entry-point group for other packages. A name that ends in a colon is a family: ``torchvision:`` matches
``torchvision:fcn_resnet50`` and passes the part after the colon to its factory as ``target``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.metadata import entry_points
from typing import Any, NamedTuple

from segbench.errors import UnknownNameError
from segbench.import_path import FAMILY, refuse_code
from segbench.signature import Signature, read_signature


@dataclass(frozen=True)
class Entry:
    """A named factory that is not imported yet."""

    name: str
    reference: str

    def load(self) -> Callable[..., Any]:
        """Import the factory: a function, or a class of options with a method ``build``.

        Raises:
            UsageError: It belongs to another package, whose code must not run here.
        """
        module, _, attribute = self.reference.partition(":")
        if not self.built_in:
            refuse_code(self.name)
        factory: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
        return factory

    @property
    def built_in(self) -> bool:
        """Whether it belongs to segbench."""
        return self.reference.startswith(f"{__name__.partition('.')[0]}.")

    @cached_property
    def signature(self) -> Signature:
        """The factory's signature, read from its source without importing its module."""
        return read_signature(self.reference)


class Match(NamedTuple):
    """The catalogue entry that matches a name.

    Attributes:
        entry: The matching entry.
        target: The part after the colon of a family's name; None if the entry is no family.
    """

    entry: Entry
    target: str | None


@dataclass(frozen=True)
class Registry:
    """A catalogue.

    Attributes:
        kind: Name of its members in messages, such as ``model``.
        catalog: ``package:ATTRIBUTE`` of the dict that lists the built-in members.
        group: Entry-point group through which other packages add members, or None.
    """

    kind: str
    catalog: str
    group: str | None = None

    @property
    def plural(self) -> str:
        """The plural of ``kind``."""
        return self.kind + ("es" if self.kind.endswith("s") else "s")

    def entries(self) -> dict[str, Entry]:
        """Return all members by name, built-in ones first."""
        package, _, attribute = self.catalog.partition(":")
        table: dict[str, str] = getattr(importlib.import_module(package), attribute)
        found = {name: Entry(name, reference) for name, reference in table.items()}
        if self.group:
            for name, reference in _installed(self.group).items():
                found.setdefault(name, Entry(name, reference))
        return found

    def complete_names(self) -> list[str]:
        """Return the names that are no families and need no options."""
        return [
            name
            for name, entry in self.entries().items()
            if not name.endswith(":") and all(parameter.default is not ... for parameter in entry.signature.parameters)
        ]

    def find(self, name: str) -> Match:
        """Return the entry that matches a name.

        Raises:
            UnknownNameError: No member has this name; suggests the most similar one.
        """
        known = self.entries()
        if name in known and not name.endswith(":"):
            return Match(known[name], None)
        family, colon, target = name.partition(":")
        if colon and target and family + colon in known:
            return Match(known[family + colon], target)
        raise UnknownNameError(self.kind, name, known)

    def is_foreign(self, name: str) -> bool:
        """Return whether a member is external: given by its import path, or added by another package.

        Raises:
            UnknownNameError: No member has this name.
        """
        entry = self.find(name).entry
        return entry.name == FAMILY or not entry.built_in

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
"""All catalogues, by the name of their members."""


@cache
def _installed(group: str) -> dict[str, str]:
    """Return the entry points of installed packages in a group."""
    return {point.name: point.value for point in entry_points(group=group)}
