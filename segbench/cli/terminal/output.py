"""Writes results to standard output and messages to standard error."""

from __future__ import annotations

import json
import math
import shutil
import sys
import textwrap
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import typer

from segbench.report.text import byte_count as sized
from segbench.report.text import printable


def write_json(value: Any) -> None:
    """Write a value to standard output as JSON; NaN and infinity become null."""
    typer.echo(json_text(value))


def json_text(value: Any) -> str:
    """Return a value as indented JSON; NaN and infinity become null."""
    return json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False)


def plain(value: Any) -> Any:
    """Convert a value to JSON types; unknown types become text."""
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(part) for part in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int | None) else str(value)


def write_table(
    titles: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    right: Sequence[str] = (),
    whole: Sequence[str] = (),
    drop: Sequence[str] = (),
) -> None:
    """Write a table to standard output, fitted to the width of a terminal.

    If the terminal is too narrow, sentences are wrapped, then columns are dropped and named in a message. Control
    characters are escaped.

    Args:
        titles: The headings.
        rows: The cells; None is shown as nothing.
        right: Headings of right-aligned columns, which are never wrapped.
        whole: Headings of further columns that are never wrapped.
        drop: Headings of the columns to drop first, in this order; the others follow from the right.
    """
    titles, right, whole, drop = ([printable(title) for title in part] for part in (titles, right, whole, drop))
    cells = [["" if cell is None else printable(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        typer.echo("\n".join(_plain_table(titles, cells, right)))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=sys.stdout)
    fitted = fit(titles, cells, width=console.width, rigid=[*right, *whole], drop=drop)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for index in fitted.shown:
        justify: Literal["left", "right"] = "right" if titles[index] in right else "left"
        table.add_column(Text(titles[index]), justify=justify, overflow="fold", no_wrap=index in fitted.rigid)
    for row in cells:
        table.add_row(*(Text(row[index]) for index in fitted.shown))
    console.print(table)
    left_out = [title for index, title in enumerate(titles) if index not in fitted.shown]
    if left_out:
        tell(f"left out, as the terminal is narrow: {', '.join(left_out)}")


def _plain_table(titles: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str]) -> Iterator[str]:
    """Yield the lines of an unwrapped table; equal to those of rich, in a tenth of the time."""
    from rich.cells import cell_len

    widths = [max(map(cell_len, column)) for column in zip(titles, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        blanks = [" " * (width - cell_len(cell)) for cell, width in zip(cells, widths, strict=True)]
        pairs = zip(titles, cells, blanks, strict=True)
        return "   ".join(blank + cell if title in right else cell + blank for title, cell, blank in pairs).rstrip()

    yield line(titles)
    yield "─" * (sum(widths) + 3 * (len(widths) - 1))
    yield from map(line, rows)


def write_facts(facts: Mapping[str, Any]) -> None:
    """Write names and values to standard output, one pair per line; long values are wrapped on a terminal."""
    width = max(map(len, facts), default=0)
    for name, value in facts.items():
        write_line(f"{name:<{width}}  {shown(value)}".rstrip(), indent=" " * (width + 2))


def write_line(text: str, *, indent: str = "") -> None:
    """Write a line to standard output; wrapped on a terminal, with control characters escaped.

    Args:
        text: The line.
        indent: Indentation of further lines on a terminal.
    """
    line = printable(text)
    typer.echo(wrapped(line, indent=indent) if sys.stdout.isatty() else line)


def shown(value: Any) -> str:
    """Format a value: thousands separators, ``-`` if absent."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, list | tuple):
        return ", ".join(map(shown, value)) or "-"
    return str(value)


def counted(count: int, one: str, several: str | None = None) -> str:
    """Return a number with its noun, such as ``1 image`` or ``3 images``."""
    return f"{count:,} {one if count == 1 else several or one + 's'}"


def figure(value: float) -> str:
    """Return a rate with three digits, or as a whole number."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def byte_count(count: int | None) -> str:
    """Return a size in megabytes (10^6 bytes), such as ``118 MB``, ``1,204 MB`` or ``0.127 MB``."""
    return sized(count) or "-"


def duration(seconds: float) -> str:
    """Return a duration, such as ``1 h 05 min``, ``3 min 20 s`` or ``1.5 s``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def tell(text: str) -> None:
    """Write a message to standard error; wrapped on a terminal, with control characters escaped."""
    lines = escaped(text).split("\n")
    typer.echo("\n".join(map(wrapped, lines) if sys.stderr.isatty() else lines), err=True)


def escaped(text: str) -> str:
    """Return lines with control characters, except their line breaks, escaped."""
    return "\n".join(map(printable, text.split("\n")))


def wrapped(line: str, *, indent: str = "") -> str:
    """Wrap a line to the terminal's width, only between words, so that paths stay whole.

    Args:
        line: The line.
        indent: Indentation of further lines.
    """
    width = shutil.get_terminal_size().columns
    return textwrap.fill(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False) or line


def emphasized(text: str, words: str) -> str:
    """Return text for standard output; on a terminal it is wrapped, and the given words are bold."""
    if not sys.stdout.isatty():
        return text
    whole = words.replace(" ", "\N{NO-BREAK SPACE}")  # textwrap does not break there
    lines = wrapped(text.replace(words, whole, 1))
    return lines.replace(whole, typer.style(words, bold=True), 1)


GAP = 3
"""Characters between two columns of a table."""

_SHORTEST_TEXT = 16
"""Smallest width to which a column of sentences is wrapped."""


class Fitted(NamedTuple):
    """The columns of a table that fit.

    Attributes:
        shown: Positions of the columns, from left to right.
        rigid: Positions of those that are not wrapped.
    """

    shown: tuple[int, ...]
    rigid: frozenset[int]


def fit(
    titles: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    width: int,
    rigid: Collection[str] = (),
    drop: Sequence[str] = (),
) -> Fitted:
    """Choose the columns that fit; the first always stays.

    Args:
        titles: The headings.
        rows: The cells.
        width: Width of the terminal in characters.
        rigid: Headings of the columns that are not wrapped.
        drop: Headings of the columns to drop first, in this order; the others follow from the right.
    """
    from rich.cells import cell_len

    natural = [max(map(cell_len, column)) for column in zip(titles, *rows, strict=True)]
    least = [
        size if title in rigid else min(size, max(_SHORTEST_TEXT, cell_len(title)))
        for title, size in zip(titles, natural, strict=True)
    ]
    first_to_go = [titles.index(title) for title in drop if title in titles]
    order = [*first_to_go, *(index for index in reversed(range(1, len(titles))) if index not in first_to_go)]
    shown = list(range(len(titles)))
    while order and sum(least[index] for index in shown) + GAP * (len(shown) - 1) > width:
        shown.remove(order.pop(0))
    fits = sum(least[index] for index in shown) <= width
    return Fitted(tuple(shown), frozenset(index for index in shown if fits and titles[index] in rigid))
