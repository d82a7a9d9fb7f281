"""Formats shares, lists, mismatched tensors, problems and versions of files, and Markdown tables as text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

import segbench


def percent(share: float) -> str:
    """Return a fraction in percent, such as ``93 %``; ``100 %`` and ``0 %`` are used for exactly 1 and 0 only."""
    shown = f"{100 * share:.0f}"
    if share < 1 and shown == "100":
        return "over 99 %"
    return "under 1 %" if share > 0 and shown == "0" else f"{shown} %"


def joined(values: Iterable[object]) -> str:
    """Return values with commas and an "and", such as ``a, b and c``."""
    *others, last = map(str, values)
    return f"{', '.join(others)} and {last}" if others else last


_WORDS = {
    "missing": ("of the network is missing in the file", "of the network are missing in the file"),
    "unexpected": ("of the file fits nothing in the network", "of the file fit nothing in the network"),
    "misshapen": ("has another shape", "have another shape"),
}
"""By kind of mismatch: the phrases for one tensor and for several."""


def in_words(misfits: Mapping[str, Sequence[str]], *, shown: int) -> str:
    """Describe how many tensors of each kind do not match, and name the first of them.

    Args:
        misfits: Names by kind: ``missing``, ``unexpected``, ``misshapen``; empty kinds are left out.
        shown: Number of names listed of each kind.
    """
    return "; ".join(f"{_counted(kind, len(names))}: {first(names, shown)}" for kind, names in misfits.items() if names)


def first(names: Sequence[str], shown: int) -> str:
    """List the first few names and the number of further ones."""
    rest = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {rest} more" if rest > 0 else "")


def _counted(kind: str, count: int) -> str:
    one, several = _WORDS.get(kind, (kind, kind))
    return f"1 tensor {one}" if count == 1 else f"{count} tensors {several}"


def markdown_table(titles: Sequence[str], rows: Sequence[Sequence[str]], alignment: str) -> str:
    """Return a Markdown table of cells that are escaped already.

    Args:
        titles: The headings.
        rows: The cells.
        alignment: One sign a column: ``:`` for flush left, ``-`` for flush right.
    """
    rule = [":---" if sign == ":" else "---:" for sign in alignment]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [titles, rule, *rows])


def newer_schema(document: Any, reads: int) -> str | None:
    """Describe a stored document of a newer segbench and name the version to install; None if this one can read it.

    Args:
        document: The JSON document. The version of segbench is that of its environment, or its key ``segbench``.
        reads: The newest schema that this segbench reads.
    """
    version = document.get("schema_version") if isinstance(document, Mapping) else None
    if type(version) is not int or version <= reads:
        return None
    writer = _writer(document)
    remedy = f"install segbench {writer} or a newer one" if writer else "install the newest segbench"
    named = f", {writer}" if writer else ""
    return f"was written by a newer segbench{named} (schema {version}, this one reads up to {reads}): {remedy}"


_VERSION = re.compile(r"\d[\w.+!-]{0,39}")


def _writer(document: Mapping[str, Any]) -> str | None:
    """Return the version of segbench that wrote a document; None if the document does not say so."""
    records = document.get("records")  # of a baseline, which has no environment of its own
    value: Any = records[0] if isinstance(records, list) and records else document
    for key in ("environment", "versions", "segbench"):
        value = value.get(key) if isinstance(value, Mapping) else None
    version = value or document.get("segbench")
    named = isinstance(version, str) and _VERSION.fullmatch(version) and version != segbench.__version__
    return version if named else None  # a development version has the number of the release before it


def first_problem(error: Exception) -> str:
    """Describe the first problem of a file that pydantic or a JSON reader refused, in one line."""
    if isinstance(error, ValidationError):
        problem = error.errors()[0]
        key = ".".join(map(str, problem["loc"]))
        return f"{key}: {problem['msg']}" if key else str(problem["msg"])
    text = f"lacks {error}" if isinstance(error, KeyError) else str(error)
    return " ".join(text.split())[:200] or type(error).__name__
