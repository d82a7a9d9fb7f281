"""Spells a suite as its file does: with variables in place of their content, and with relative paths."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

Spellings = Mapping[tuple[str, str], str]
"""How a text was written, by the key that holds it and the text that it became."""


def spellings_of(written: Any, expanded: Any, key: str = "") -> dict[tuple[str, str], str]:
    """Return the texts of a document that were written in another way.

    Args:
        written: The document as it stands in the file.
        expanded: The same with variables and paths resolved.
        key: The nearest key above.
    """
    if isinstance(written, str):
        return {(key, expanded): written} if isinstance(expanded, str) and expanded != written else {}
    found: dict[tuple[str, str], str] = {}
    for name, part, other in _parts(written, expanded, key):
        found |= spellings_of(part, other, name)
    return found


def respelled(value: Any, spellings: Spellings, *, folder: Path, key: str = "") -> Any:
    """Return a document spelled as its file, to be stored in a folder.

    A text with variables is spelled with them. A path that was relative to the suite's file becomes relative to the
    folder, so that the stored suite finds the same files.

    Args:
        value: The document.
        spellings: How its texts were written.
        folder: Where it is stored.
        key: The nearest key above.
    """
    if isinstance(value, Mapping):
        return {name: respelled(part, spellings, folder=folder, key=str(name)) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [respelled(part, spellings, folder=folder, key=key) for part in value]
    written = spellings.get((key, value)) if isinstance(value, str) else None
    if written is None:
        return value
    return written if "${" in written else Path(os.path.relpath(value, folder)).as_posix()


def _parts(written: Any, expanded: Any, key: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield the parts of both documents with the nearest key of each."""
    if isinstance(written, Mapping) and isinstance(expanded, Mapping):
        yield from ((str(name), part, expanded[name]) for name, part in written.items() if name in expanded)
    elif isinstance(written, list | tuple) and isinstance(expanded, list | tuple):
        yield from ((key, part, other) for part, other in zip(written, expanded, strict=False))
