"""Names and hashes of classes and functions defined in a notebook or script."""

from __future__ import annotations

import dis
import functools
import hashlib
import inspect
import json
import pickle
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import CodeType, FunctionType, GetSetDescriptorType, MemberDescriptorType, MethodType, ModuleType
from typing import Any

from segbench.errors import UsageError

MAIN = "__main__"
"""The module of notebook cells and of the running script."""

_MAIN_NAMES = (MAIN, "__mp_main__")
"""Its names in ``__module__``; multiprocessing imports the script by the second one."""

_DESCRIBED_ELSEWHERE = frozenset(
    {
        *(
            "__dict__",
            "__weakref__",
            "__module__",
            "__doc__",
            "__qualname__",
            "__firstlineno__",
            "__static_attributes__",
        ),
        *("__annotations__", "__annotations_cache__", "__annotate__", "__annotate_func__", "__orig_bases__"),
        *("__parameters__", "__type_params__", "__abstractmethods__", "_abc_impl", "__match_args__"),
        *("__dataclass_fields__", "__dataclass_params__"),
    }
)
"""Members of classes that are derived from others, or do not change what a network computes."""


def main_attribute(name: str) -> Any:
    """Return the attribute of ``__main__`` with a name; None if there is none."""
    return getattr(sys.modules.get(MAIN), name, None)


def name_of(given: Callable[..., Any]) -> str:
    """Return the name of a class or function in a suite: ``python:module.attribute``.

    Raises:
        UsageError: It cannot be found by a name.
    """
    module = getattr(given, "__module__", None)
    module = MAIN if module in _MAIN_NAMES else module
    found = vars(sys.modules[module]) if module in sys.modules else {}
    own = getattr(given, "__name__", "")
    names = [own] if found.get(own) is given else [name for name, value in found.items() if value is given]
    if not names:
        raise UsageError(
            f"{given!r} cannot be found again by its name; give a class or function of the top level of a module, or "
            "of a notebook's cell, and its options beside 'name'"
        )
    return f"python:{module}.{names[0]}"


def found_by_other_processes(name: str) -> bool:
    """Return whether another process can find a name of ``__main__``, which must be in the script's file."""
    file = getattr(sys.modules.get(MAIN), "__file__", None)
    return file is not None and {code.co_filename for code in _codes(main_attribute(name))} <= {file}


def others_can_import_main() -> bool:
    """Return whether other processes can import ``__main__``, or need not: a notebook has no file to import.

    They cannot if the script is read from standard input.
    """
    file = getattr(sys.modules.get(MAIN), "__file__", None)
    return file is None or Path(file).is_file()


def definition_digest(name: str) -> str | None:
    """Return the SHA-256 of a definition in ``__main__`` and everything it uses there; None if it does not exist.

    The hash covers its source, the source of used classes and functions of ``__main__``, and the values of other used
    names. Only the names of imports are included. Without source, as in the Python prompt, bytecode is used.

    Raises:
        UsageError: It uses a value that cannot be hashed.
    """
    found = main_attribute(name)
    if found is None:
        return None
    parts = _Parts(f"python:{MAIN}.{name}")
    document = {"name": name, "is": parts.describe(found), "parts": parts.found}
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


class _Parts:
    """The parts of ``__main__`` that a definition uses, each described once."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.found: dict[str, Any] = {}
        self._numbers: dict[int, str] = {}
        self._kept: list[Any] = []  # keeps the value alive, so that its id is not reused

    def describe(self, value: Any) -> Any:
        """Return a value as JSON types; equal values give equal descriptions."""
        if value is None or isinstance(value, bool | int | float | complex | str | bytes):
            return [type(value).__name__, repr(value)]
        if isinstance(value, ModuleType):
            return ["module", value.__name__]
        if isinstance(value, type | FunctionType):
            return self._definition(value)
        if isinstance(value, MemberDescriptorType | GetSetDescriptorType):
            return ["slot", value.__name__]
        holds = next((holds for kind, holds in _HOLDS.items() if isinstance(value, kind)), None)
        return [type(value).__name__, *map(self.describe, holds(value))] if holds else self._object(value)

    def _definition(self, value: type | FunctionType) -> Any:
        scope = value.__module__ if isinstance(value, type) else value.__globals__.get("__name__")
        if scope not in _MAIN_NAMES:
            inner = getattr(value, "__wrapped__", None)
            return ["imported", scope, value.__qualname__, *([self.describe(inner)] if inner is not None else [])]
        return self._once(value, self._class if isinstance(value, type) else self._function)

    def _once(self, value: Any, describe: Callable[[Any], Any]) -> Any:
        """Describe a value at its first occurrence and refer to it later, since definitions may be recursive."""
        if id(value) not in self._numbers:
            number = self._numbers[id(value)] = str(len(self._numbers))
            self._kept.append(value)
            self.found[number] = describe(value)
        return ["part", self._numbers[id(value)]]

    def _class(self, value: type) -> Any:
        members = {name: member for name, member in vars(value).items() if name not in _DESCRIBED_ELSEWHERE}
        return {
            "class": value.__qualname__,
            "kind": self.describe(type(value)),
            "bases": [self.describe(base) for base in value.__bases__],
            "members": {name: self.describe(member) for name, member in sorted(members.items())},
        }

    def _function(self, value: FunctionType) -> Any:
        used = {name: value.__globals__[name] for name in _global_names(value.__code__) if name in value.__globals__}
        cells = zip(value.__code__.co_freevars, value.__closure__ or (), strict=True)
        inner = getattr(value, "__wrapped__", None)
        return {
            "function": value.__qualname__,
            "text": _source(value.__code__),
            "defaults": [self.describe(value.__defaults__), self.describe(value.__kwdefaults__)],
            "uses": {name: self.describe(used[name]) for name in sorted(used)},
            "encloses": {name: self._cell(cell) for name, cell in cells},
            "wraps": self.describe(inner),
        }

    def _cell(self, cell: Any) -> Any:
        try:
            return self.describe(cell.cell_contents)
        except ValueError:  # an empty cell
            return None

    def _object(self, value: Any) -> Any:
        kind = type(value)
        if kind.__module__ in _MAIN_NAMES and hasattr(value, "__dict__"):
            return self._once(value, lambda value: {"object": self.describe(kind), "holds": self.describe(vars(value))})
        try:
            content = hashlib.sha256(pickle.dumps(value, protocol=4)).hexdigest()
        except Exception as error:  # any error of its __reduce__
            raise UsageError(
                f"{self.name} uses a {kind.__name__} that cannot be told from another one ({error}); "
                "make it in the class or function, or give its values as options"
            ) from None
        return ["value", kind.__module__, kind.__qualname__, content]


_HOLDS: dict[type | tuple[type, ...], Callable[[Any], list[Any]]] = {
    (list, tuple): list,
    dict: lambda value: [part for item in value.items() for part in item],
    (set, frozenset): lambda value: sorted(value, key=repr),
    (staticmethod, classmethod): lambda value: [value.__func__],
    MethodType: lambda value: [value.__func__, value.__self__],
    property: lambda value: [value.fget, value.fset, value.fdel],
    functools.cached_property: lambda value: [value.func],
    functools.partial: lambda value: [value.func, value.args, value.keywords],
}
"""Descriptions of values of common types."""


def _global_names(code: CodeType) -> set[str]:
    """Return the global names that code reads, including nested functions."""
    read = {step.argval for step in dis.get_instructions(code) if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    return read.union(*(_global_names(nested) for nested in _nested(code)))


def _nested(code: CodeType) -> list[CodeType]:
    return [constant for constant in code.co_consts if isinstance(constant, CodeType)]


def _source(code: CodeType) -> Any:
    """Return the source of a function, or its bytecode without source."""
    try:
        return textwrap.dedent(inspect.getsource(code))
    except (OSError, TypeError):
        return {"python": list(sys.version_info[:2]), "bytecode": _bytecode(code)}


def _bytecode(code: CodeType) -> Any:
    names = [list(part) for part in (code.co_names, code.co_varnames, code.co_freevars)]
    return [code.co_code.hex(), _constant(code.co_consts), names]


def _constant(value: Any) -> Any:
    if isinstance(value, CodeType):
        return _bytecode(value)
    if isinstance(value, tuple):
        return [_constant(part) for part in value]
    return sorted(map(repr, value)) if isinstance(value, frozenset) else repr(value)


def _codes(value: Any) -> Iterator[CodeType]:
    """Yield the code of a function, or of the methods of a class."""
    if isinstance(value, FunctionType):
        yield value.__code__
    elif isinstance(value, type):
        members: Mapping[str, Any] = vars(value)
        for member in members.values():
            yield from _codes(getattr(member, "__func__", member) if not isinstance(member, type) else None)
