"""What a report is made of, whatever it is written as: headings, paragraphs, lists, tables, drawings and listings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from segbench.report.drawing import Plot


@dataclass(frozen=True)
class Code:
    """A name or a value that is set as code."""

    text: str


Inline = str | Code
"""A piece of running text."""


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes:
        text: What is shown.
        number: What a column of numbers is sorted by; None where there is none.
        code: Whether it is set as code.
    """

    text: str
    number: float | None = None
    code: bool = False


@dataclass(frozen=True)
class Heading:
    """A heading; level 1 is the title."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Paragraph:
    """Running text."""

    parts: tuple[Inline, ...]

    @classmethod
    def of(cls, *parts: Inline) -> Paragraph:
        """Return a paragraph of some pieces."""
        return cls(parts)


@dataclass(frozen=True)
class Bullets:
    """A list under a few words that say what it is of."""

    lead: str
    items: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        name: What it holds, as part of an anchor, such as ``ranking``.
        titles: The headings.
        rows: Cells, as many in a row as there are titles.
        right: By column, whether it is set flush right.
    """

    name: str
    titles: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    right: tuple[bool, ...] = field(default=())

    @classmethod
    def of(cls, name: str, titles: Sequence[str], rows: Sequence[Sequence[Cell | str]], right: str = "") -> Table:
        """Return a table; ``right`` holds one sign a column, ``-`` for flush right and ``:`` for flush left."""
        cells = tuple(tuple(cell if isinstance(cell, Cell) else Cell(cell) for cell in row) for row in rows)
        return cls(name, tuple(titles), cells, tuple(sign == "-" for sign in right or ":" * len(titles)))


@dataclass(frozen=True, eq=False)
class Drawing:
    """A figure.

    Attributes:
        plot: The drawing and its words.
        name: The stem of its files.
    """

    plot: Plot
    name: str


@dataclass(frozen=True)
class Listing:
    """Lines of a file or of a terminal."""

    text: str
    language: str = ""


Block = Heading | Paragraph | Bullets | Table | Drawing | Listing
