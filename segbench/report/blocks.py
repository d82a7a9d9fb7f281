"""What a report is made of, whatever it is written as: headings, paragraphs, lists, tables, drawings and listings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from segbench.report.figures.plot import Plot


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


@dataclass(frozen=True)
class Drawing:
    """A figure that stands in files, with its words.

    Attributes:
        name: The stem of its files.
        title: What it shows.
        caption: What is drawn, with n, protocol and spread.
        alternative: What those are told who do not see it.
        width: In inches; so is the height.
        height: See there.
    """

    name: str
    title: str
    caption: str
    alternative: str
    width: float
    height: float

    @classmethod
    def of(cls, plot: Plot, name: str) -> Drawing:
        """Return what a report keeps of a drawing once its files are written."""
        width, height = plot.figure.get_size_inches()
        return cls(name, plot.title, plot.caption, plot.alternative or plot.caption, float(width), float(height))


@dataclass(frozen=True)
class Listing:
    """Lines of a file or of a terminal."""

    text: str
    language: str = ""


Block = Heading | Paragraph | Bullets | Table | Drawing | Listing
