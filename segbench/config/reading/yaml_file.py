"""Reads a YAML file as a mapping, expands variables and resolves paths; does not validate."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from segbench.config.reading.excerpt import snippet
from segbench.config.reading.yaml_loader import read_yaml
from segbench.config.shipped import shipped_suites
from segbench.errors import SuiteError, did_you_mean

_VARIABLE = re.compile(r"\$\{([^}]*)\}")


MOST_IN_SIZE = 1e12
"""Largest number in a suite; nothing of use is larger."""
MOST_CHARACTERS = 4_000
"""Longest text in a suite, longer than any path."""
MOST_BYTES = 4_000_000
"""Largest suite file; those that come with segbench have some thousand bytes."""


def read_document(file: Path) -> dict[str, Any]:
    """Read a YAML mapping.

    Raises:
        SuiteError: The file is missing, is not YAML, or is no mapping.
    """
    text = ""
    try:
        text = _text_of(file)
        document = read_yaml(text)
    except FileNotFoundError:
        near = ", ".join(sorted(str(path) for path in file.parent.glob("*.yaml"))) or "none"
        raise SuiteError(f"there is no such file; suites in this folder: {near}{_shipped(file)}", file=file) from None
    except UnicodeDecodeError as error:
        where = f"{error.reason} at byte {error.start}"
        raise SuiteError(f"is no UTF-8 text ({where}); save it as UTF-8", file=file) from None
    except (OSError, ValueError) as error:
        raise SuiteError(f"cannot be read: {error}", file=file) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise SuiteError(f"is not YAML: {_syntax_problem(error, text)}", file=file) from None
    if not isinstance(document, dict):
        raise SuiteError("expected a mapping with the keys dataset, models and train", file=file)
    return document


def _text_of(file: Path) -> str:
    """Read a suite file; one without end, such as a device, is not read to it.

    Raises:
        OSError: It cannot be read.
        SuiteError: It is too large.
        UnicodeDecodeError: It is no text.
    """
    with file.open("rb") as stream:
        content = stream.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise SuiteError(f"is larger than a suite may be ({MOST_BYTES:,} bytes)", file=file)
    return content.decode("utf-8-sig").replace("\r\n", "\n")


def _shipped(file: Path) -> str:
    """Return the names of the suites that come with segbench, where a name was given and no path."""
    if file.name != str(file) or file.suffix:
        return ""
    names = shipped_suites()
    near = did_you_mean(file.name, names)
    return f"; by name{near}" if names else ""


def _syntax_problem(error: Exception, text: str) -> str:
    """Return where a text stops to be YAML and why, with the line and a caret below the place."""
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return f"line {line}: the character {chr(int(error.character))!r} may not stand in YAML"
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return " ".join(str(error).split())
    begun, mark = error.context_mark, error.problem_mark
    since = f" (begun in line {begun.line + 1})" if begun is not None and begun.line < mark.line else ""
    what = ", ".join(part for part in (error.context and f"{error.context}{since}", error.problem) if part)
    shown = snippet(mark) or (snippet(begun) if begun is not None else "")
    return f"line {mark.line + 1}, column {mark.column + 1}: {what}{shown}"


def expand_variables(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy with ``${VARIABLE}`` in values replaced from the environment.

    Raises:
        SuiteError: A variable is not set, or a number is infinite or NaN.
    """
    expanded: dict[str, Any] = _walk(document, "")
    return expanded


def find_files(document: dict[str, Any], folder: Path) -> None:
    """Resolve paths that exist relative to the suite file's folder.

    This applies to ``dataset.root``, ``dataset.fold_groups.file``, and to ``weights`` and ``pretrained`` of
    ``defaults`` and of all models. Other paths are unchanged and are relative to the current directory.
    """
    entries = document.get("models")
    dataset = document.get("dataset")
    _place(dataset, ("root",), folder)
    _place(dataset.get("fold_groups") if isinstance(dataset, dict) else None, ("file",), folder)
    for entry in [document.get("defaults"), *(entries if isinstance(entries, list) else [])]:
        _place(entry, ("weights", "pretrained"), folder)


def _place(entry: Any, keys: tuple[str, ...], folder: Path) -> None:
    if not isinstance(entry, dict):
        return
    for key in keys:
        path = entry.get(key)
        if isinstance(path, str) and path and not Path(path).is_absolute() and _exists(folder / path):
            entry[key] = str(folder / path)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that no file may have
        return False


def _walk(value: Any, key: str) -> Any:
    if isinstance(value, Mapping):
        return {name: _walk(part, f"{key}.{name}" if key else str(name)) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_walk(part, f"{key}[{index}]") for index, part in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        raise SuiteError(f"expected a finite number (given {value})", key=key)
    if isinstance(value, int | float) and abs(value) > MOST_IN_SIZE:
        raise SuiteError(f"expected a number of at most {MOST_IN_SIZE:.0e} in size (given {_brief(value)})", key=key)
    if isinstance(value, str) and (problem := _unfit(value)):
        raise SuiteError(problem, key=key)
    return _VARIABLE.sub(_variable(value, key), value) if isinstance(value, str) else value


def _unfit(text: str) -> str | None:
    """Return why a text cannot be used; None if it can."""
    if len(text) > MOST_CHARACTERS:
        return f"expected at most {MOST_CHARACTERS:,} characters (given {len(text):,})"
    if "\0" in text:
        return "expected a text without the character NUL"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "expected a text in Unicode; half of a surrogate pair cannot be stored"
    return None


def _brief(number: float) -> str:
    """Return a number of any length as ``1e+30``."""
    return f"{number:g}" if isinstance(number, float) else f"a number of {number.bit_length() * 0.30103:.0f} digits"


def _variable(value: str, key: str) -> Callable[[re.Match[str]], str]:
    def replace(match: re.Match[str]) -> str:
        name = match[1]
        if name not in os.environ:
            raise SuiteError(f"{value!r}: the environment variable {name} is not set", key=key)
        return os.environ[name]

    return replace
