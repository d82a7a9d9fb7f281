"""A report as one HTML file that needs nothing else: no network, no font, no further file."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from segbench.report.blocks import Block, Bullets, Cell, Code, Drawing, Heading, Inline, Listing, Paragraph, Table
from segbench.report.figures.plot import PlotFiles
from segbench.report.text import printable

FILTERED_ROWS = 6
"""A table of at least so many rows gets a field to filter them by."""

_PIXELS_PER_INCH = 96


@dataclass(frozen=True)
class Download:
    """A file that the page holds.

    Attributes:
        title: What the link says.
        name: The name it is saved by.
        text: Its content.
        media_type: Such as ``text/csv``.
    """

    title: str
    name: str
    text: str
    media_type: str


def to_html(blocks: Sequence[Block], *, drawings: Mapping[str, PlotFiles], downloads: Iterable[Download] = ()) -> str:
    """Return a report as a page.

    Everything that comes from a suite, a record or a file name is escaped, and a policy in the page keeps browsers from
    loading anything and from running any script but its own.

    Args:
        blocks: The report, its title first.
        drawings: The files of its figures by the stem of their names.
        downloads: Files that the page offers.
    """
    from markupsafe import Markup

    style, script = _template("report.css"), _template("report.js")
    shown = [_shown(block, number, drawings) for number, block in enumerate(blocks)]
    titles = [block.text for block in blocks if isinstance(block, Heading) and block.level == 1]
    return _rendered(
        "report.html.j2",
        title=printable(titles[0]) if titles else "Leaderboard",
        blocks=shown,
        interactive=True,
        contents=[block for block in shown if block["kind"] == "heading" and block["level"] == 2],
        downloads=[_link(file) for file in downloads],
        style=Markup(style),  # noqa: S704 - our own files
        script=Markup(script),  # noqa: S704
        policy=(
            f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
            "base-uri 'none'; form-action 'none'"
        ),
    )


def to_fragment(blocks: Sequence[Block]) -> str:
    """Return headings, text and tables as a piece of HTML for a page of others, such as a notebook."""
    shown = [_shown(block, number, {}) for number, block in enumerate(blocks)]
    return _rendered("blocks.html.j2", blocks=shown, interactive=False, downloads=[])


def _rendered(template: str, **values: Any) -> str:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, loader=FunctionLoader(_template))
    return environment.get_template(template).render(values)


def _shown(block: Block, number: int, drawings: Mapping[str, PlotFiles]) -> dict[str, Any]:
    """Return a block as the template reads it."""
    match block:
        case Heading(text, level):
            return {"kind": "heading", "text": printable(text), "level": level, "anchor": f"section-{number}"}
        case Paragraph(parts):
            return {"kind": "paragraph", "parts": [_inline(part) for part in parts]}
        case Bullets(lead, items):
            return {"kind": "bullets", "lead": printable(lead), "entries": list(map(printable, items))}
        case Table():
            return _table(block, number)
        case Drawing():
            return {
                "kind": "drawing",
                "anchor": f"figure-{number}",
                "light": _address(drawings[block.name].light),
                "dark": _address(drawings[block.name].dark),
                "width": round(block.width * _PIXELS_PER_INCH),
                "height": round(block.height * _PIXELS_PER_INCH),
                "alternative": printable(f"{block.title}. {block.alternative}"),
                "caption": printable(block.caption),
            }
        case Listing(text):
            return {"kind": "listing", "text": "\n".join(map(printable, text.rstrip("\n").split("\n")))}


def _table(table: Table, number: int) -> dict[str, Any]:
    return {
        "kind": "table",
        "name": table.name,
        "anchor": f"table-{number}",
        "filterable": len(table.rows) >= FILTERED_ROWS,
        "titles": [
            {"text": printable(title), "right": right} for title, right in zip(table.titles, table.right, strict=True)
        ],
        "rows": [[_cell(cell, right) for cell, right in zip(row, table.right, strict=True)] for row in table.rows],
    }


def _cell(cell: Cell, right: bool) -> dict[str, Any]:
    return {"text": printable(cell.text), "number": cell.number, "code": cell.code, "right": right}


def _inline(part: Inline) -> dict[str, Any]:
    is_code = isinstance(part, Code)
    return {"text": printable(part.text if isinstance(part, Code) else part), "code": is_code}


def _link(file: Download) -> dict[str, str]:
    return {"title": file.title, "name": file.name, "address": _data_address(file.text.encode(), file.media_type)}


def _address(svg: Path) -> str:
    return _data_address(svg.read_bytes(), "image/svg+xml")


def _data_address(content: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"


def _digest(text: str) -> str:
    """Return the hash by which a page's policy allows one style or script."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}"


def _template(name: str) -> str:
    return (files("segbench.report") / "templates" / name).read_text(encoding="utf-8")
