"""What a factory's source says of it: its options and their meaning, read without importing its module.

A factory is a function with keyword-only options, or a dataclass of options whose method ``build`` makes the thing.
Such classes inherit the options that several factories share.
"""

from __future__ import annotations

import ast
import importlib.util
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from segbench.errors import UsageError


@dataclass(frozen=True)
class Parameter:
    """One option of a factory, as written in its source.

    Attributes:
        name: The option's name.
        annotation: The annotation's source text, or ``"Any"``.
        default: The default value; ``...`` when the option must be given.
        help: Its entry under ``Args:`` in the function's docstring, or the string below the class's field.
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
        parameters: The options.
        open: Whether it takes ``**options`` of any name.
    """

    summary: str
    parameters: tuple[Parameter, ...]
    open: bool


@cache
def read_signature(reference: str) -> Signature:
    """Read a factory's options and docstring from its source.

    Args:
        reference: ``package.module:function`` or ``package.module:OptionsClass``.

    Raises:
        UsageError: The module has no readable source, defines no such function, or a default is no literal.
    """
    module, _, attribute = reference.partition(":")
    file = _source_file(module)
    if file is None:
        raise UsageError(f"{reference}: there is no module {module!r} with a source; is its package installed?")
    tree = _tree(file, reference)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == attribute:
            return _signature_of(node, reference)
        if isinstance(node, ast.ClassDef) and node.name == attribute and _is_dataclass(node):
            summary = (ast.get_docstring(node) or "").partition("\n")[0]
            return Signature(summary, tuple(_fields(node, tree, reference).values()), open=False)
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


def _is_dataclass(node: ast.ClassDef) -> bool:
    return any(ast.unparse(decorator).startswith("dataclass") for decorator in node.decorator_list)


def _fields(node: ast.ClassDef, tree: ast.Module, reference: str) -> dict[str, Parameter]:
    """Return the options of a class by name: those of its bases, then its own."""
    options: dict[str, Parameter] = {}
    for base in map(ast.unparse, node.bases):
        module = _imported_from(tree, base) or reference.partition(":")[0]
        options |= {option.name: option for option in read_signature(f"{module}:{base}").parameters}
    for field, below in pairwise([*node.body, ast.Pass()]):
        if not isinstance(field, ast.AnnAssign) or ast.unparse(field.annotation).startswith("ClassVar"):
            continue
        name = ast.unparse(field.target)
        default = ... if field.value is None else _literal(field.value, f"{reference}: {name}")
        text = ast.literal_eval(below.value) if isinstance(below, ast.Expr) else ""
        options[name] = Parameter(name, ast.unparse(field.annotation), default, help=" ".join(text.split()))
    return options


def _imported_from(tree: ast.Module, name: str) -> str | None:
    """Return the module that a name is imported from; None where it is not."""
    imports = (node for node in tree.body if isinstance(node, ast.ImportFrom))
    return next((node.module for node in imports if name in [alias.name for alias in node.names]), None)


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
