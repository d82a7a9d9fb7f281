"""Catalogues of named things: what exists is known without importing it, so that suites are checked at once.

A catalogue is a dict ``name -> "package.module:attribute"`` in the package that owns the things, joined by an
entry-point group for third parties. A name that ends in a colon is a family: ``torchvision:`` answers for
``torchvision:fcn_resnet50`` and passes what follows the colon to its factory as the argument ``target``.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from segbench.errors import UnknownNameError, UsageError


@dataclass(frozen=True)
class Parameter:
    """One keyword-only option of a factory, as written in its source.

    Attributes:
        name: The option's name.
        annotation: The annotation's source text, or ``"Any"``.
        default: The default value; ``...`` when the option must be given.
        help: Its entry under ``Args:`` in the factory's docstring.
    """

    name: str
    annotation: str
    default: Any
    help: str


@dataclass(frozen=True)
class Signature:
    """What a factory's source says of it.

    Attributes:
        summary: The first line of the docstring.
        parameters: The keyword-only options.
        open: Whether it takes ``**options`` of any name.
    """

    summary: str
    parameters: tuple[Parameter, ...]
    open: bool


@dataclass(frozen=True)
class Entry:
    """One named factory, not yet imported."""

    name: str
    reference: str

    def load(self) -> Callable[..., Any]:
        """Import the factory."""
        module, _, attribute = self.reference.partition(":")
        factory: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
        return factory

    @cached_property
    def signature(self) -> Signature:
        """The factory's options, read from its source without importing its module."""
        return read_signature(self.reference)


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

    def find(self, name: str) -> tuple[Entry, str | None]:
        """Return the member that answers for a name, and what follows the colon of a family's name.

        Raises:
            UnknownNameError: No member has this name; the nearest one is named.
        """
        known = self.entries()
        if name in known and not name.endswith(":"):
            return known[name], None
        family, colon, target = name.partition(":")
        if colon and target and family + colon in known:
            return known[family + colon], target
        raise UnknownNameError(self.kind, name, known)

    def create(self, name: str, *arguments: Any, **options: Any) -> Any:
        """Import a member and call it."""
        entry, target = self.find(name)
        if target is not None:
            options["target"] = target
        return entry.load()(*arguments, **options)


MODELS = Registry("model", "segbench.models:CATALOG", "segbench.models")
DATASETS = Registry("dataset", "segbench.data:CATALOG", "segbench.datasets")
TRANSFORMS = Registry("transform", "segbench.data:TRANSFORMS")
LOSSES = Registry("loss", "segbench.engine:LOSSES")
OPTIMIZERS = Registry("optimizer", "segbench.engine:OPTIMIZERS")
SCHEDULES = Registry("schedule", "segbench.engine:SCHEDULES")

CATALOGS = {registry.plural: registry for registry in (MODELS, DATASETS, TRANSFORMS, LOSSES, OPTIMIZERS, SCHEDULES)}
"""Every catalogue, by what its members are called."""


@cache
def _installed(group: str) -> dict[str, str]:
    """Return what installed packages offer in an entry-point group."""
    return {point.name: point.value for point in entry_points(group=group)}


@cache
def read_signature(reference: str) -> Signature:
    """Read a factory's keyword-only options and docstring from its source.

    Args:
        reference: ``package.module:function``.

    Raises:
        UsageError: The module has no source, defines no such function, or a default is no literal.
    """
    module, _, attribute = reference.partition(":")
    file = _source_file(module)
    if file is None:
        raise UsageError(f"{reference}: there is no module {module!r} with a source; is its package installed?")
    for node in ast.parse(file.read_bytes(), filename=str(file)).body:
        if isinstance(node, ast.FunctionDef) and node.name == attribute:
            return _signature_of(node, reference)
    raise UsageError(f"{reference}: {file} defines no function {attribute!r}")


def _source_file(module: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    return Path(spec.origin) if spec is not None and spec.origin and spec.origin.endswith(".py") else None


def _signature_of(node: ast.FunctionDef, reference: str) -> Signature:
    docstring = ast.get_docstring(node) or ""
    helps = argument_helps(docstring)
    parameters = tuple(
        Parameter(
            name=argument.arg,
            annotation=ast.unparse(argument.annotation) if argument.annotation else "Any",
            default=... if default is None else _literal(default, f"{reference}: {argument.arg}"),
            help=helps.get(argument.arg, ""),
        )
        for argument, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
        if argument.arg != "target"
    )
    return Signature(docstring.partition("\n")[0], parameters, open=node.args.kwarg is not None)


def _literal(node: ast.expr, where: str) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        raise UsageError(f"{where}: the default {ast.unparse(node)} has to be a literal, as suites show it") from None


def argument_helps(docstring: str) -> dict[str, str]:
    """Return the entries of the ``Args:`` section of a Google-style docstring, by argument."""
    helps: dict[str, str] = {}
    current, inside = "", False
    for line in docstring.splitlines():
        indent = len(line) - len(line.lstrip())
        if not inside:
            inside = line.strip() == "Args:"
        elif line.strip() and indent == 0:
            break
        elif indent == 4 and ":" in line:
            current, _, text = line.strip().partition(":")
            helps[current] = text.strip()
        elif current and line.strip():
            helps[current] += " " + line.strip()
    return helps
