"""What a factory's source says of it: its options and their meaning, read without importing its module."""

from __future__ import annotations

import ast
import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from segbench.errors import UsageError


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


@cache
def read_signature(reference: str) -> Signature:
    """Read a factory's keyword-only options and docstring from its source.

    Args:
        reference: ``package.module:function``.

    Raises:
        UsageError: The module has no readable source, defines no such function, or a default is no literal.
    """
    module, _, attribute = reference.partition(":")
    file = _source_file(module)
    if file is None:
        raise UsageError(f"{reference}: there is no module {module!r} with a source; is its package installed?")
    for node in _tree(file, reference).body:
        if isinstance(node, ast.FunctionDef) and node.name == attribute:
            return _signature_of(node, reference)
    raise UsageError(f"{reference}: {file} defines no function {attribute!r}")


def _tree(file: Path, reference: str) -> ast.Module:
    try:
        return ast.parse(file.read_bytes(), filename=str(file))
    except (OSError, SyntaxError, ValueError) as error:
        raise UsageError(f"{reference}: {file} cannot be read as Python: {error}") from None


def _source_file(module: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, SyntaxError, ValueError):  # it imports the packages above the module
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
