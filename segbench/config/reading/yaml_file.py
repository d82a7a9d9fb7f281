"""A YAML file as a mapping: what a person wrote, variables filled in and files found, not yet checked."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml

from segbench.config.reading.excerpt import snippet
from segbench.errors import SuiteError

_VARIABLE = re.compile(r"\$\{([^}]*)\}")


class _Loader(yaml.SafeLoader):
    """YAML without its two traps: a key given twice is an error, and ``1e-3`` is a number."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Build a mapping after a look for keys that stand there twice."""
        seen: set[str] = set()
        for key, _ in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge" else None
            if name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {name!r} is given twice", key.start_mark)
            if name is not None:
                seen.add(name)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+"), list("-+.0123456789")
)


def read_yaml(text: str) -> Any:
    """Read YAML with plain values only.

    Raises:
        yaml.YAMLError: The text is not YAML, or gives a key twice.
    """
    return yaml.load(text, Loader=_Loader)  # noqa: S506 - derived from SafeLoader


def read_document(file: Path) -> dict[str, Any]:
    """Read a YAML mapping.

    Raises:
        SuiteError: The file is missing, is not YAML, or is no mapping.
    """
    text = ""
    try:
        text = file.read_text(encoding="utf-8")
        document = read_yaml(text)
    except FileNotFoundError:
        near = ", ".join(sorted(str(path) for path in file.parent.glob("*.yaml"))) or "none"
        raise SuiteError(f"there is no such file; suites in this folder: {near}", file=file) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SuiteError(f"cannot be read: {error}", file=file) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise SuiteError(f"is not YAML: {_syntax_problem(error, text)}", file=file) from None
    if not isinstance(document, dict):
        raise SuiteError("expected a mapping with the keys dataset, models and train", file=file)
    return document


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
    """Return a copy in which ``${VARIABLE}`` in values is replaced from the environment.

    Raises:
        SuiteError: A variable is not set, or a number is infinite or NaN.
    """
    expanded: dict[str, Any] = _walk(document, "")
    return expanded


def find_files(document: dict[str, Any], folder: Path) -> None:
    """Make paths that exist beside the suite file point there, whatever the current directory is.

    This concerns ``dataset.root`` and ``dataset.fold_groups.file``, and ``weights`` and ``pretrained`` of ``defaults``
    and of every model. A path that does not exist below ``folder`` is left alone, and so counts from the current
    directory.
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
        if isinstance(path, str) and path and not Path(path).is_absolute() and (folder / path).exists():
            entry[key] = str(folder / path)


def _walk(value: Any, key: str) -> Any:
    if isinstance(value, Mapping):
        return {name: _walk(part, f"{key}.{name}" if key else str(name)) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_walk(part, f"{key}[{index}]") for index, part in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        raise SuiteError(f"expected a finite number (given {value})", key=key)
    return _VARIABLE.sub(_variable(value, key), value) if isinstance(value, str) else value


def _variable(value: str, key: str) -> Callable[[re.Match[str]], str]:
    def replace(match: re.Match[str]) -> str:
        name = match[1]
        if name not in os.environ:
            raise SuiteError(f"{value!r}: the environment variable {name} is not set", key=key)
        return os.environ[name]

    return replace
