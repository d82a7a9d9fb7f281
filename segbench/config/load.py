"""Loads a suite from a YAML file or a mapping, and validates it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from segbench.config.reading.dotted_keys import set_key, with_keys
from segbench.config.reading.excerpt import excerpt_of
from segbench.config.reading.python_values import plain_values
from segbench.config.reading.spelling import spellings_of
from segbench.config.reading.validation_errors import mistakes
from segbench.config.reading.yaml_file import expand_variables, find_files, read_document
from segbench.config.reading.yaml_loader import read_yaml
from segbench.config.shipped import suite_path
from segbench.config.suite import Suite
from segbench.errors import SuiteError

__all__ = ["check", "check_part", "load_suite", "read_override", "set_options", "with_keys"]

Part = TypeVar("Part", bound=BaseModel)


def load_suite(suite: str | Path | Mapping[str, Any], *, overrides: Sequence[str] = ()) -> Suite:
    """Read and validate a suite.

    In a file, ``dataset.root`` and the models' ``weights`` and ``pretrained`` are relative to the file's folder if they
    exist there, else to the current directory. In a mapping, all paths are relative to the current directory.

    Args:
        suite: The YAML file, the name of a suite that comes with segbench (``quickstart``), or a mapping of the same
            keys. ``${VARIABLE}`` in a value is replaced from the environment. In a mapping, a network may be the class
            or function itself, and paths may be ``Path``.
        overrides: ``dotted.key=value`` lines; values are parsed as YAML, paths are relative to the current directory.

    Raises:
        SuiteError: The file cannot be read, or a key or value is invalid.
    """
    if isinstance(suite, Mapping):
        return _checked(plain_values(suite), overrides)
    if not isinstance(suite, str | Path):
        raise SuiteError(f"expected the path of a YAML file, or a mapping, not a {type(suite).__name__}")
    file = suite_path(suite)
    document = read_document(file)
    document.setdefault("name", _suite_name(file))
    try:
        expanded = expand_variables(document)
        find_files(expanded, file.parent)
        return _checked(expanded, overrides, file=file).spelled(spellings_of(document, expanded))
    except SuiteError as error:
        raise SuiteError(error.problem, file=file, key=error.key) from None


def _checked(document: dict[str, Any], overrides: Sequence[str], *, file: Path | None = None) -> Suite:
    set_options(document, overrides)
    return check(document, file=file, overridden=[override.partition("=")[0].strip() for override in overrides])


def check(document: Mapping[str, Any], *, file: Path | None = None, overridden: Sequence[str] = ()) -> Suite:
    """Validate a suite given as a mapping.

    Args:
        document: The suite's keys and values.
        file: Its origin, for messages.
        overridden: Dotted keys that do not stand in the file as they are checked.

    Raises:
        SuiteError: A key or value is invalid; lists all errors.
    """
    try:
        expanded = expand_variables(document)
    except SuiteError as error:
        raise SuiteError(error.problem, file=file, key=error.key) from None
    return check_part(Suite, expanded, file=file, excerpt=_excerpts(file, overridden))


def check_part(
    kind: type[Part],
    document: Any,
    *,
    file: Path | None = None,
    key: str = "",
    excerpt: Callable[[str], str] = lambda key: "",
) -> Part:
    """Validate a suite, or a part of one such as a ``ModelEntry``.

    Args:
        kind: The pydantic class.
        document: The mapping.
        file: Its origin, for messages.
        key: The dotted key of the part, for messages.
        excerpt: Returns the line of a key with a caret, to stand below what is wrong with it.

    Raises:
        SuiteError: Something is invalid; lists all errors, one per line.
    """
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        keys = [(".".join(part for part in (key, below) if part), problem) for below, problem in mistakes(error)]
        found = [(one, f"{problem}{excerpt(one)}") for one, problem in keys]
        first, *others = found
        more = "".join("\n" + ": ".join(str(part) for part in (file, *other) if part) for other in others)
        raise SuiteError(first[1] + more, file=file, key=first[0]) from None


def _excerpts(file: Path | None, overridden: Sequence[str]) -> Callable[[str], str]:
    """Return what shows the line of a key in a suite's file; nothing of keys that were overridden."""

    def show(key: str) -> str:
        if file is None or not file.is_file() or any(key.startswith(one.partition(".")[0]) for one in overridden):
            return ""
        return excerpt_of(file.read_text(encoding="utf-8"), key)

    return show


def set_options(document: dict[str, Any], options: Sequence[str] | None) -> None:
    """Set the keys of a mapping that ``key=value`` lines name.

    Raises:
        SuiteError: A line has another form, or names a key that cannot be set.
    """
    for option in options or ():
        set_key(document, *read_override(option))


def set_data_options(document: dict[str, Any], options: Sequence[str] | None) -> None:
    """Set options of a data set, which suites call ``dataset.root``, and commands that have but a data set ``root``.

    Raises:
        SuiteError: A line has another form, or names a key that cannot be set.
    """
    set_options(document, [option.strip().removeprefix("dataset.") for option in options or ()])


def read_override(text: str) -> tuple[str, Any]:
    """Parse a ``key=value`` line into dotted key and value.

    Raises:
        SuiteError: The line has another form, or the value is not YAML.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise SuiteError(f"--set {text!r}: expected key=value, such as train.epochs=3")
    try:
        return key.strip(), read_yaml(value)
    except (yaml.YAMLError, RecursionError):
        shown = repr(value[:60]) + ("..." if len(value) > 60 else "")
        raise SuiteError(f"--set: the value {shown} is not YAML", key=key.strip()) from None


def _suite_name(file: Path) -> str:
    """Return the file's name without suffix, limited to characters allowed in folder names."""
    return re.sub(r"[^\w.-]+", "-", file.stem).strip("-.") or "suite"
