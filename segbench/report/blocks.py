"""What a report is made of, whatever it is written as: headings, paragraphs, lists, tables, drawings and listings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

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
        bar: The ends and the middle of an interval as shares of the cell, which draws it; None without.
    """

    text: str
    number: float | None = None
    code: bool = False
    bar: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class Heading:
    """A heading; level 1 is the title.

    Attributes:
        text: What it says.
        level: 1 to 4.
        anchor: What a link to it ends with; made of the text by default.
        link: What the links at the top of a page call it; empty where they leave it out.
    """

    text: str
    level: int = 2
    anchor: str = ""
    link: str = ""


@dataclass(frozen=True)
class Paragraph:
    """Running text."""

    parts: tuple[Inline, ...]
    lead: bool = False
    """Whether it is what a reader looks for first."""

    @classmethod
    def of(cls, *parts: Inline, lead: bool = False) -> Paragraph:
        """Return a paragraph of some pieces."""
        return cls(parts, lead)


@dataclass(frozen=True)
class Facts:
    """Short facts, each with its name, that are read at a glance.

    Attributes:
        items: Names and values.
        words: What a page tells of some of them on hover, by name.
    """

    items: tuple[tuple[str, str], ...]
    words: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Bullets:
    """A list under a few words that say what it is of.

    Attributes:
        lead: The words.
        items: The list.
        beside: What a page tells beside the rows that it is about, and other formats in this list, after the rest.
    """

    lead: str
    items: tuple[str, ...]
    beside: tuple[str, ...] = ()


@dataclass(frozen=True)
class ColumnFacts:
    """What a page knows of a column beside its heading.

    Attributes:
        words: What its figures mean.
        lower: Whether less is better; None for a column that has no better.
        shown: Whether it is shown at first.
        told: Whether a page tells it in another way at first: by a bar, or by a note on the row.
        preset: The choice of columns that shows it: accuracy, speed or size.
    """

    words: str
    lower: bool | None
    shown: bool
    told: bool = False
    preset: str = ""


@dataclass(frozen=True)
class RowFacts:
    """What a page knows of a row beside its cells.

    Attributes:
        family: Which family its network is of.
        notes: What a reader must know of this row.
        details: What stands below the row when it is opened.
    """

    family: str = ""
    notes: tuple[str, ...] = ()
    details: tuple[Block, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        name: What it holds, as part of an anchor, such as ``ranking``.
        titles: The headings.
        rows: Cells, as many in a row as there are titles.
        right: By column, whether it is set flush right.
        columns: Facts of the columns, for a table whose columns can be chosen; else empty.
        facts: Facts of the rows, for a table whose rows open; else empty.
    """

    name: str
    titles: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    right: tuple[bool, ...] = field(default=())
    columns: tuple[ColumnFacts, ...] = ()
    facts: tuple[RowFacts, ...] = ()

    @classmethod
    def of(cls, name: str, titles: Sequence[str], rows: Sequence[Sequence[Cell | str]], right: str = "") -> Table:
        """Return a table; ``right`` holds one sign a column, ``-`` for flush right and ``:`` for flush left."""
        cells = tuple(tuple(cell if isinstance(cell, Cell) else Cell(cell) for cell in row) for row in rows)
        return cls(name, tuple(titles), cells, tuple(sign == "-" for sign in right or ":" * len(titles)))

    def overview(self) -> Table:
        """Return the table with the columns alone that are shown at first."""
        if not self.columns:
            return self
        kept = [index for index, column in enumerate(self.columns) if column.shown]
        return replace(
            self,
            titles=tuple(self.titles[index] for index in kept),
            rows=tuple(tuple(row[index] for index in kept) for row in self.rows),
            right=tuple(self.right[index] for index in kept),
            columns=tuple(self.columns[index] for index in kept),
        )


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
        chart: The same as data, see ``segbench.report.chart``; None where it stays a picture.
        level: Of its title as a heading.
        anchor: What a link to it ends with.
    """

    name: str
    title: str
    caption: str
    alternative: str
    width: float
    height: float
    chart: Mapping[str, Any] | None = None
    level: int = 4
    anchor: str = ""

    @classmethod
    def of(cls, plot: Plot, name: str) -> Drawing:
        """Return what a report keeps of a drawing once its files are written."""
        width, height = plot.figure.get_size_inches()
        words = (plot.title, plot.caption, plot.alternative or plot.caption)
        return cls(name, *words, float(width), float(height), plot.chart, anchor=plot.name)


@dataclass(frozen=True)
class Listing:
    """Lines of a file or of a terminal."""

    text: str
    language: str = ""


@dataclass(frozen=True)
class Folded:
    """Blocks that a page shows when they are asked for, under a heading of level 2.

    Attributes:
        title: The heading.
        blocks: What is shown.
        anchor: What a link to it ends with; made of the title by default.
        printed: Whether a page on paper has it.
    """

    title: str
    blocks: tuple[Block, ...]
    anchor: str = ""
    printed: bool = True


@dataclass(frozen=True)
class Curve:
    """A place where a page draws the learning curve of one network.

    Attributes:
        network: Its name.
        drawing: The name of the figure whose data it is drawn from.
    """

    network: str
    drawing: str


@dataclass(frozen=True)
class Tile:
    """What one network made of one image, as addresses of pictures.

    Attributes:
        network: Its name.
        score: The mean IoU of this image.
        prediction: The prediction in the classes' colours.
        errors: What is wrong in one colour, all else transparent.
    """

    network: str
    score: float
    prediction: str
    errors: str


@dataclass(frozen=True)
class PicturedImage:
    """One test image with its label and what networks made of it, as addresses of pictures.

    Attributes:
        role: Why it was chosen, such as ``hardest``.
        name: The image's name.
        mean_iou: The mean over networks of the mean IoU of this image.
        image: The image.
        label: Its label.
        tiles: What networks made of it, best network first.
        size: Width and height in pixels.
    """

    role: str
    name: str
    mean_iou: float
    image: str
    label: str
    tiles: tuple[Tile, ...]
    size: tuple[int, int]


@dataclass(frozen=True)
class Gallery:
    """Test images as each network saw them; in Markdown, the drawing stands for them.

    Attributes:
        images: The images.
        classes: The names of the classes with their colours, as ``#rrggbb``.
        mark: The colour of errors.
        drawing: The figure of some of the same.
        caption: What a page shows, in words.
    """

    images: tuple[PicturedImage, ...]
    classes: tuple[tuple[str, str], ...]
    mark: str
    drawing: Drawing
    caption: str = ""


@dataclass(frozen=True)
class PicturesOf:
    """A place where a page shows what one network made of a gallery's images.

    Attributes:
        network: Its name.
        drawing: The name of the gallery's figure.
    """

    network: str
    drawing: str


Block = Heading | Paragraph | Facts | Bullets | Table | Drawing | Listing | Folded | Curve | Gallery | PicturesOf
