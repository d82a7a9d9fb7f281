"""Imports and calls parts that a suite gives by their import path; errors name the part."""

from __future__ import annotations

import importlib
import inspect
import os
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from segbench.errors import SegbenchError, UsageError, did_you_mean, one_line

FAMILY = "python:"
"""Prefix of the names of such parts."""
NO_CODE = "SEGBENCH_NO_CODE"
"""Environment variable that forbids to import parts that are not segbench's."""

_OTHERS = (str(Path(__file__).parent), "<frozen ")
"""Folders whose code does not belong to the part."""


class ForeignPartError(UsageError):
    """An external part of a suite failed, or returned an invalid result."""


def refuse_code(name: str) -> None:
    """Refuse to import a part where that is forbidden.

    Raises:
        UsageError: It is.
    """
    if os.environ.get(NO_CODE, "0") not in ("", "0"):
        raise UsageError(f"{name}: is code that is not segbench's, which {NO_CODE} or --no-code forbids to run")


def import_attribute(name: str, target: str) -> Callable[..., Any]:
    """Import the attribute of a ``python:`` name.

    Args:
        name: The whole name, for messages.
        target: ``package.module.attribute`` of a callable.

    Raises:
        UsageError: There is no such module or attribute, it cannot be imported or must not be, or it is not callable.
    """
    module_name, _, attribute = target.rpartition(".")
    if not module_name:
        raise UsageError(f"{name}: expected python:package.module.attribute")
    refuse_code(name)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and f"{module_name}.".startswith(f"{error.name}."):
            hint = "is its package installed, or its folder in PYTHONPATH?"
            raise UsageError(f"{name}: there is no module {error.name!r}; {hint}") from error
        raise UsageError(f"{name}: {module_name} imports {error.name!r}, which is not installed") from error
    except ImportError as error:
        raise UsageError(f"{name}: {module_name} cannot be imported: {error}") from error
    except Exception as error:  # any error of an external module
        raise UsageError(f"{name}: {module_name} cannot be imported: {described(error)}") from error
    public = [key for key in vars(module) if not key.startswith("_")]
    if not hasattr(module, attribute) and module_name == "__main__":
        raise UsageError(f"{name}: known only to the notebook or script that defines {attribute!r} at its top level")
    if not hasattr(module, attribute):
        raise UsageError(f"{name}: {module_name} has no {attribute!r}{did_you_mean(attribute, public)}")
    found: Callable[..., Any] = getattr(module, attribute)
    if not callable(found):
        raise UsageError(f"{name}: {attribute!r} is a {type(found).__name__}; a class or function is expected")
    return found


def call_part(name: str, factory: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Call the factory of a part; errors name the part.

    Raises:
        ForeignPartError: The factory raised an error; segbench's own errors pass unchanged.
    """
    with naming_part(name, f"cannot be made with {_listed(options)}"):
        return factory(*arguments, **options)


@contextmanager
def naming_part(name: str, problem: str) -> Iterator[None]:
    """Convert errors of a part to errors that name the part and the line.

    segbench's own errors pass unchanged. So do out-of-memory errors, because training may continue with smaller
    micro-batches.

    Raises:
        ForeignPartError: The part raised an error.
    """
    try:
        yield
    except SegbenchError:
        raise
    except Exception as error:
        if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
            raise
        raise ForeignPartError(f"{name} {problem}: {described(error)}") from error


def described(error: Exception) -> str:
    """Describe an error in one line, with the line of code that raised it."""
    text = one_line(error)
    frames = traceback.extract_tb(error.__traceback__)
    own = [
        frame for frame in frames if not frame.filename.startswith(_OTHERS) and "site-packages" not in frame.filename
    ]
    where = f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""
    return f"{type(error).__name__}: {text}{where}" if text else f"{type(error).__name__}{where}"


def takes(function: Callable[..., Any], name: str) -> bool:
    """Return whether a function or class has a parameter of this name; False if its signature cannot be read."""
    return name in _parameters(function)


def offered(function: Callable[..., Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values for which a function has a parameter."""
    known = _parameters(function)
    return {name: value for name, value in values.items() if name in known}


def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):
        return {}


def _listed(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in options.items()) or "no options"
