"""What commands put on standard output (answers) and standard error (messages)."""

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
    """Write a value to standard output as JSON; what JSON does not have (NaN, infinity) becomes null."""
    typer.echo(json_text(value))


def json_text(value: Any) -> str:
    """Return a value as indented JSON; what JSON does not have becomes null."""
    return json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False)


def plain(value: Any) -> Any:
    """Return a value in JSON's own types; anything unknown becomes text."""
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
    """Write a table to standard output: on a terminal in its width, elsewhere as wide as its content.

    Where the terminal is too narrow, columns are left out and counted in a message; sentences are folded at words, and
    nothing else is. What a terminal would obey in a name (control signs, text direction) is spelled out.

    Args:
        titles: The headings.
        rows: The cells; None is shown as nothing.
        right: Headings of the columns that are set flush right; they are never folded.
        whole: Headings of further columns that are never folded.
        drop: Headings of the columns that are left out first, in this order; the others go from the right.
    """
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
        table.add_column(titles[index], justify=justify, overflow="fold", no_wrap=index in fitted.rigid)
    for row in cells:
        table.add_row(*(Text(row[index]) for index in fitted.shown))
    console.print(table)
    left_out = [title for index, title in enumerate(titles) if index not in fitted.shown]
    if left_out:
        tell(f"left out, as the terminal is narrow: {', '.join(left_out)}")


def _plain_table(titles: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str]) -> Iterator[str]:
    """Yield the lines of a table as wide as its content, the same that rich makes of it, in a tenth of the time."""
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
    """Write names and values to standard output, one pair a line; on a terminal, long values are broken at words."""
    width = max(map(len, facts), default=0)
    for name, value in facts.items():
        line = printable(f"{name:<{width}}  {shown(value)}").rstrip()
        typer.echo(wrapped(line, indent=" " * (width + 2)) if sys.stdout.isatty() else line)


def shown(value: Any) -> str:
    """Return a value for people: thousands separated, absent as a dash."""
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
    """Return a number with what it counts, such as ``1 image`` or ``3 images``."""
    return f"{count:,} {one if count == 1 else several or one + 's'}"


def figure(value: float) -> str:
    """Return a rate with three digits, or as a whole number."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def byte_count(count: int | None) -> str:
    """Return a size in megabytes of a million bytes, such as ``118 MB``, ``1,204 MB`` or ``0.127 MB``."""
    return sized(count) or "-"


def duration(seconds: float) -> str:
    """Return a time in words, such as ``1 h 05 min``, ``3 min 20 s`` or ``1.5 s``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def tell(text: str) -> None:
    """Write a message of one or more lines to standard error, broken at words where that is a terminal.

    What a terminal would obey is spelled out.
    """
    lines = [printable(line) for line in text.split("\n")]
    typer.echo("\n".join(map(wrapped, lines) if sys.stderr.isatty() else lines), err=True)


def wrapped(line: str, *, indent: str = "") -> str:
    """Return a line in the terminal's width, broken between words only: a path stays in one piece.

    Args:
        line: The line.
        indent: What further lines begin with.
    """
    width = shutil.get_terminal_size().columns
    return textwrap.fill(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False) or line


def emphasized(text: str, words: str) -> str:
    """Return text for standard output; on a terminal, broken at words, and with the first of these words in bold."""
    if not sys.stdout.isatty():
        return text
    whole = words.replace(" ", "\N{NO-BREAK SPACE}")  # textwrap does not break there
    lines = wrapped(text.replace(words, whole, 1))
    return lines.replace(whole, typer.style(words, bold=True), 1)


GAP = 3
"""Columns of the terminal between two of a table."""

_SHORTEST_TEXT = 16
"""A column of sentences may be folded down to this."""


class Fitted(NamedTuple):
    """What is shown of a table.

    Attributes:
        shown: Positions of the columns, from left to right.
        rigid: Positions of those that are not folded.
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
        width: How wide the terminal is.
        rigid: Headings of the columns whose cells are not folded.
        drop: Headings of the columns that go first, in this order; the others go from the right.
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
