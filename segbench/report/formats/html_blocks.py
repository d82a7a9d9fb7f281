"""The blocks of a report as a page's template reads them."""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from markupsafe import Markup

from segbench.report.blocks import (
    Block,
    Bullets,
    Cell,
    Code,
    ColumnFacts,
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
    RowFacts,
    Table,
)
from segbench.report.figures.plot import PlotFiles
from segbench.report.text import printable

FILTERED_ROWS = 6
"""Tables with at least this many rows get a search field."""

_HALF_A_PAGE, _WIDE_CHART = 6.5, 8.0
"""Figures wider than this, in inches, get a row of their own; charts adapt to half of the page."""
_PIXELS_PER_INCH = 96
_SHADES = 10
"""Number of colour steps for scores."""


@dataclass
class Shower:
    """Turns blocks into what the template reads, and gives each its anchor.

    Attributes:
        drawings: The files of figures by the stem of their names.
    """

    drawings: Mapping[str, PlotFiles] = field(default_factory=dict)
    _anchors: Counter[str] = field(default_factory=Counter)

    def show(self, blocks: Sequence[Block]) -> list[dict[str, Any]]:
        """Return blocks as the template reads them; consecutive narrow figures share a row."""
        shown: list[dict[str, Any]] = []
        for block in blocks:
            one = self._shown(block)
            if one["kind"] == "drawing" and not one["wide"]:
                if shown and shown[-1]["kind"] == "drawings":
                    shown[-1]["drawings"].append(one)
                    continue
                one = {"kind": "drawings", "drawings": [one]}
            shown.append(one)
        return shown

    def anchor(self, text: str) -> str:
        """Return a unique anchor made from a text."""
        name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "section"
        self._anchors[name] += 1
        return name if self._anchors[name] == 1 else f"{name}-{self._anchors[name]}"

    def _shown(self, block: Block) -> dict[str, Any]:  # noqa: PLR0911 - one for each kind of block
        match block:
            case Heading(text, level, anchor, link):
                name = self.anchor(anchor or text)
                return {
                    "kind": "heading",
                    "text": printable(text),
                    "level": level,
                    "anchor": name,
                    "link": printable(link),
                }
            case Paragraph(parts, lead):
                return {"kind": "paragraph", "parts": [_inline(part) for part in parts], "lead": lead}
            case Facts(items, words):
                entries = [(name, printable(value), words.get(name, "")) for name, value in items]
                return {"kind": "facts", "entries": entries}
            case Bullets(lead, items, beside):
                lists = {"entries": list(map(printable, items)), "beside": list(map(printable, beside))}
                return {"kind": "bullets", "lead": printable(lead), **lists}
            case Table():
                return self._table(block)
            case Drawing():
                return self._drawing(block)
            case Listing(text):
                lines = map(printable, text.rstrip("\n").split("\n"))
                return {"kind": "listing", "text": "\n".join(lines)}
            case Folded(title, blocks, anchor, printed):
                name = self.anchor(anchor or title)
                shown = {"kind": "folded", "text": printable(title), "anchor": name, "link": printable(title)}
                return shown | {"blocks": self.show(blocks), "printed": printed}
            case Gallery():
                return _gallery(block)
            case Curve(network, drawing):
                return {"kind": "curve", "network": printable(network), "drawing": drawing}
            case PicturesOf(network, drawing):
                return {"kind": "pictures-of", "network": printable(network), "drawing": drawing}

    def _drawing(self, block: Drawing) -> dict[str, Any]:
        files = self.drawings[block.name]
        return {
            "kind": "drawing",
            "wide": block.width > (_HALF_A_PAGE if block.chart is None else _WIDE_CHART),
            "anchor": self.anchor(block.anchor),
            "name": block.name,
            "title": printable(block.title),
            "level": block.level,
            "light": _address(files.light),
            "dark": _address(files.dark),
            "width": round(block.width * _PIXELS_PER_INCH),
            "height": round(block.height * _PIXELS_PER_INCH),
            "alternative": printable(f"{block.title}. {block.alternative}"),
            "caption": printable(block.caption),
            "chart": "" if block.chart is None else as_text(block.chart),
        }

    def _table(self, table: Table) -> dict[str, Any]:
        anchor = self.anchor(f"table-{table.name}")
        columns = table.columns or tuple(ColumnFacts("", lower=None, shown=True) for _ in table.titles)
        facts = table.facts or tuple(RowFacts() for _ in table.rows)
        heads = zip(table.titles, table.right, columns, strict=True)
        return {
            "kind": "table",
            "name": table.name,
            "anchor": anchor,
            "chosen": bool(table.columns),
            "opens": any(row.details for row in table.facts),
            "filterable": len(table.rows) >= FILTERED_ROWS and not table.name.startswith("row-"),
            "families": sorted({row.family for row in facts if row.family}),
            "presets": [name for name in _PRESETS if any(column.preset == name for column in columns)],
            "titles": [_title(title, right, column) for title, right, column in heads],
            "rows": [self._row(row, fact, table, columns) for row, fact in zip(table.rows, facts, strict=True)],
        }

    def _row(
        self, row: Sequence[Cell], facts: RowFacts, table: Table, columns: Sequence[ColumnFacts]
    ) -> dict[str, Any]:
        heat = table.name == "classes"
        cells = [
            _cell(cell, right, column, heat) for cell, right, column in zip(row, table.right, columns, strict=True)
        ]
        return {
            "cells": cells,
            "family": printable(facts.family),
            "notes": list(map(printable, facts.notes)),
            "details": self.show(facts.details),
        }


_PRESETS = ("accuracy", "speed", "size")


def as_text(data: Mapping[str, Any]) -> Markup:
    """Return data as JSON, escaped for the text of an HTML element."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))  # noqa: S704 - escaped here


def _title(title: str, right: bool, column: ColumnFacts) -> dict[str, Any]:
    return {
        "text": printable(title),
        "right": right,
        "words": column.words,
        "direction": "" if column.lower is None else "up" if column.lower else "down",
        "shown": column.shown and not column.told,
        "preset": column.preset,
        "name": title == "model",
    }


def _cell(cell: Cell, right: bool, column: ColumnFacts, heat: bool) -> dict[str, Any]:
    shade = None if not heat or cell.number is None else min(_SHADES - 1, max(0, int(cell.number * _SHADES)))
    return {
        "text": printable(cell.text),
        "number": cell.number,
        "code": cell.code,
        "right": right,
        "shown": column.shown and not column.told,
        "bar": None if cell.bar is None else [round(100 * part, 1) for part in cell.bar],
        "shade": shade,
    }


def _gallery(block: Gallery) -> dict[str, Any]:
    return {
        "kind": "gallery",
        "name": block.drawing.name,
        "caption": printable(block.caption),
        "classes": [{"text": printable(name), "color": color} for name, color in block.classes],
        "mark": block.mark,
        "images": [
            {
                "role": one.role,
                "name": printable(one.name),
                "score": f"{one.mean_iou:.3f}",
                "image": one.image,
                "label": one.label,
                "width": one.size[0],
                "height": one.size[1],
                "tiles": [
                    {
                        "network": printable(tile.network),
                        "score": f"{tile.score:.3f}",
                        "prediction": tile.prediction,
                        "errors": tile.errors,
                    }
                    for tile in one.tiles
                ],
            }
            for one in block.images
        ],
    }


def _inline(part: Inline) -> dict[str, Any]:
    is_code = isinstance(part, Code)
    return {"text": printable(part.text if isinstance(part, Code) else part), "code": is_code}


def _address(svg: Path) -> str:
    return data_address(svg.read_bytes(), "image/svg+xml")


def data_address(content: bytes, media_type: str) -> str:
    """Return content as a data URI."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"
