"""Blocks of a report as GitHub-flavoured Markdown."""

from __future__ import annotations

from collections.abc import Iterable

from segbench.report.blocks import (
    Block,
    Bullets,
    Cell,
    Code,
    Curve,
    Drawing,
    Facts,
    Folded,
    Gallery,
    Heading,
    Inline,
    Listing,
    Paragraph,
    PicturesOf,
    Table,
)
from segbench.report.text import code_block, code_span, escape_markdown
from segbench.results.wording import markdown_table

FIGURES_FOLDER = "figures"


def render_markdown(blocks: Iterable[Block]) -> str:
    """Return blocks as Markdown, a blank line between them, without a line break at the end."""
    return "\n\n".join(_written(block) for block in blocks)


def _written(block: Block) -> str:  # noqa: PLR0911 - one for each kind of block
    match block:
        case Heading(text, level):
            return f"{'#' * level} {escape_markdown(text)}"
        case Paragraph(parts, _):
            return "".join(map(_inline, parts))
        case Bullets(lead, items, beside):
            lines = [f"- {escape_markdown(item)}" for item in (*items, *beside)]
            return "\n".join([f"**{escape_markdown(lead)}**", "", *lines])
        case Table():
            return _table(block)
        case Drawing(name, title, caption):
            file = f"{FIGURES_FOLDER}/{name}.svg"
            return f"![{escape_markdown(title)}]({file})\n\n*{escape_markdown(caption)}*"
        case Facts(items, _):
            return " · ".join(f"**{escape_markdown(name)}** {escape_markdown(value)}" for name, value in items)
        case Folded(title, blocks):
            return render_markdown([Heading(title), *blocks])
        case Gallery():
            return _written(block.drawing)
        case Listing(text, language):
            return code_block(text, language=language)
        case Curve() | PicturesOf():  # a page's own
            return ""


def _table(table: Table) -> str:
    titles = [escape_markdown(title) for title in table.titles]
    rows = [[_cell(cell) for cell in row] for row in table.rows]
    return markdown_table(titles, rows, "".join("-" if right else ":" for right in table.right))


def _cell(cell: Cell) -> str:
    if not cell.text:
        return ""
    return code_span(cell.text) if cell.code else escape_markdown(cell.text)


def _inline(part: Inline) -> str:
    return code_span(part.text) if isinstance(part, Code) else escape_markdown(part)
