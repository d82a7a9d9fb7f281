"""Figures and names as text: numbers in few digits, names shown literally wherever they are put."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_MARKDOWN_SIGNS = re.compile(r"([\\`*\[\]|~$#])|(?<![^\W_])_|_(?![^\W_])")
_HTML_SIGNS = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_LARGE = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def is_absent(value: Any) -> bool:
    """Return whether a cell of a table holds nothing: None, NaN or pandas' NA."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float) and math.isnan(value)


def printable(value: Any) -> str:
    """Return a name on one line, with what cannot be seen (control signs, text direction) spelled out."""
    text = str(value)
    return text if text.isprintable() else "".join(map(_visible, text))


def escape_markdown(value: Any) -> str:
    """Return a name that GitHub-flavoured Markdown shows literally, also within a table."""
    return _MARKDOWN_SIGNS.sub(r"\\\g<0>", printable(value)).translate(_HTML_SIGNS)


def code_span(value: Any) -> str:
    """Return a name as Markdown code, also within a table."""
    text = printable(value).replace("|", "\\|")
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def code_block(text: str, *, language: str = "") -> str:
    """Return text as a fenced Markdown block that its contents cannot close."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    lines = (printable(line) for line in text.rstrip("\n").split("\n"))
    return "\n".join([f"{fence}{language}", *lines, fence])


def with_spread(mean: Any, spread: Any, *, digits: int = 3) -> str:
    """Return a fraction, such as ``0.712 ± 0.013``; the spread is left out where there is none."""
    if is_absent(mean):
        return ""
    text = f"{mean:.{digits}f}"
    return text if is_absent(spread) else f"{text} ± {spread:.{digits}f}"


def rate(mean: Any, spread: Any = None) -> str:
    """Return a rate with three digits, its spread to the same place."""
    if is_absent(mean):
        return ""
    digits = _decimals(mean)
    text = f"{mean:.{digits}f}"
    return text if is_absent(spread) else f"{text} ± {spread:.{digits}f}"


def count(value: Any) -> str:
    """Return a large number with three digits and a unit prefix, such as ``14.7 M``."""
    if is_absent(value):
        return ""
    for size, prefix in _LARGE:
        if abs(value) >= size * 0.9995:
            scaled = value / size
            return f"{scaled:.{_decimals(scaled)}f} {prefix}"
    return f"{value:.0f}"


def byte_count(value: Any) -> str:
    """Return a size in megabytes of a million bytes, such as ``14.7 MB`` or ``1,204 MB``: one unit in every table."""
    if is_absent(value):
        return ""
    megabytes = value / 1e6
    if 0 < megabytes < 0.001:
        return "<0.001 MB"
    return f"{megabytes:,.{min(3, _decimals(megabytes))}f} MB" if value else "0 MB"


def short_id(digest: Any) -> str:
    """Return the first eight signs of a protocol id or another digest; empty where it is not known."""
    return "" if is_absent(digest) else str(digest)[:8]


def name_of_test_data(digest: Any) -> str:
    """Return what the data is called that rows were tested on, such as ``test data 1a2b3c4d``."""
    return f"test data {short_id(digest) or 'unknown'}"


def canonical(value: Any) -> str:
    """Return a cell as JSON, equal for equal values; empty for one that holds nothing."""
    return "" if is_absent(value) else json.dumps(value, sort_keys=True, default=str)


def plural(number: int, noun: str) -> str:
    """Return a number and its noun, such as ``1 seed`` or ``3 seeds``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _decimals(value: float) -> int:
    if not math.isfinite(value) or value == 0:
        return 1
    return min(4, max(0, 2 - math.floor(math.log10(abs(value) * 1.0005))))


def _visible(sign: str) -> str:
    if sign.isprintable():
        return sign
    if sign.isspace() or unicodedata.category(sign) == "Zs":
        return " "
    return sign.encode("unicode_escape").decode("ascii")


def early_stopping_rule(rule: Mapping[str, Any]) -> str:
    """Return by how much and in how many validations a mean IoU has to rise, as in `` in 5 validations in a row``."""
    delta = f" by more than {rule.get('min_delta')}" if rule.get("min_delta") else ""
    patience = int(rule.get("patience", 0))
    return f"{delta} in {plural(patience, 'validation')}{' in a row' if patience > 1 else ''}"


def shown_path(folder: Path) -> str:
    """Return where a folder is, as a command can name it: from the current folder, or its last two parts elsewhere."""
    resolved, here = folder.resolve(), Path.cwd().resolve()
    if here in resolved.parents:
        return resolved.relative_to(here).as_posix()
    return f"{resolved.parent.name}/{resolved.name}"
