"""Draws the rooms of the code and which package imports which.

    python benchmarks/structure_figure.py > docs/architecture.svg

Each package is a box, and its rooms stand in it; the rows are those of the contracts in `pyproject.toml`, which say
that imports go down. An arrow says that the upper package does import the lower one; those that follow from others are
left out.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

sys.path.insert(0, str(Path(__file__).parent))
from structure import PACKAGE, ROOT, Module, read_modules

Graph = dict[str, set[str]]

CHIP_WIDTH, CHIP_HEIGHT, GAP, HEADING = 104, 22, 8, 26
ROW_GAP, BOX_GAP = 44, 28
STYLE = (
    "text{font:12px sans-serif;fill:#1b1c1e}.title{font-weight:bold;font-size:13px}"
    ".box{fill:#f4f5f7;stroke:#8a8d91}.room{fill:#fefefd;stroke:#b9bcc0}"
    ".arrow{stroke:#5a6b8c;fill:none;marker-end:url(#head)}"
)


def package_of(module: str) -> str | None:
    """Return the package of a dotted name; None for modules beside the packages."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and (ROOT / PACKAGE / parts[1]).is_dir() else None


def imports_between_packages(modules: Mapping[str, Module]) -> Graph:
    """Return which package imports which."""
    pairs = ((package_of(module.name), package_of(other)) for module in modules.values() for other in module.imports)
    names = {package for name in modules if (package := package_of(name))}
    return _graph(names, pairs)


def layers(contracts: Iterable[Mapping[str, Any]], container: str | None = None) -> list[list[str]]:
    """Return the rows of a contract of ``pyproject.toml``: of the packages or, with ``container``, of its rooms."""
    wanted = [container] if container else None
    found = next(one for one in contracts if one["type"] == "layers" and one.get("containers") == wanted)
    folder = ROOT / (container or PACKAGE).replace(".", "/")
    names = [[name.rpartition(".")[2] for name in row.split(" | ")] for row in found["layers"]]
    folders = [[name for name in row if (folder / name).is_dir()] for row in names]
    return [row for row in folders if row]


def reduced(graph: Graph) -> Graph:
    """Return a graph without the imports that follow from others."""
    below = {node: _reachable(graph, node) for node in graph}
    return {node: {to for to in graph[node] if not any(to in below[via] for via in graph[node])} for node in graph}


def figure(modules: Mapping[str, Module], contracts: Sequence[Mapping[str, Any]]) -> str:
    """Return the drawing as SVG."""
    packages, stacked = imports_between_packages(modules), layers(contracts)
    with_rooms = {one["containers"][0] for one in contracts if "containers" in one}
    inner = {
        name: layers(contracts, path) if (path := f"{PACKAGE}.{name}") in with_rooms else []
        for row in stacked
        for name in row
    }
    sizes = {name: _size(chips) for name, chips in inner.items()}
    widths = [sum(sizes[name][0] for name in row) + BOX_GAP * (len(row) - 1) for row in stacked]
    total, top, boxes = max(widths) + 2 * BOX_GAP, BOX_GAP, dict[str, tuple[float, float, float, float]]()
    for row, width in zip(stacked, widths, strict=True):
        left = (total - width) / 2
        for name in row:
            boxes[name] = left, top, *sizes[name]
            left += sizes[name][0] + BOX_GAP
        top += max(sizes[name][1] for name in row) + ROW_GAP
    drawn = [(upper, lower) for upper, below in reduced(packages).items() for lower in sorted(below)]
    parts = [_arrow(boxes[upper], boxes[lower]) for upper, lower in drawn]
    parts += [_box(name, boxes[name], inner[name]) for name in boxes]
    head = (
        '<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="#5a6b8c"/></marker>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total:g} {top - ROW_GAP + BOX_GAP:g}" role="img">'
        f"<title>Packages and rooms of {PACKAGE}; imports go down</title><style>{STYLE}</style><defs>{head}</defs>"
        '<rect width="100%" height="100%" fill="#fefefd"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _graph(nodes: Iterable[str], pairs: Iterable[tuple[str | None, str | None]]) -> Graph:
    graph: Graph = {node: set() for node in sorted(nodes)}
    for importer, imported in pairs:
        if importer and imported and importer != imported:
            graph[importer].add(imported)
    return graph


def _reachable(graph: Graph, node: str) -> set[str]:
    return graph[node] | {further for other in graph[node] for further in _reachable(graph, other)}


def _size(chips: list[list[str]]) -> tuple[float, float]:
    most = max(map(len, chips), default=1)
    width = most * CHIP_WIDTH + (most + 1) * GAP
    return width, HEADING + len(chips) * (CHIP_HEIGHT + GAP) + (GAP / 2 if chips else 4)


def _box(name: str, box: tuple[float, float, float, float], chips: list[list[str]]) -> str:
    left, top, width, height = box
    lines = [
        f'<rect class="box" x="{left:g}" y="{top:g}" width="{width:g}" height="{height:g}" rx="6"/>',
        f'<text class="title" x="{left + GAP:g}" y="{top + 17:g}">{escape(name)}</text>',
    ]
    for row, rooms in enumerate(chips):
        y = top + HEADING + row * (CHIP_HEIGHT + GAP)
        x = left + (width - len(rooms) * CHIP_WIDTH - (len(rooms) - 1) * GAP) / 2
        for place, room in enumerate(rooms):
            at = x + place * (CHIP_WIDTH + GAP)
            lines += [
                f'<rect class="room" x="{at:g}" y="{y:g}" width="{CHIP_WIDTH}" height="{CHIP_HEIGHT}" rx="4"/>',
                f'<text x="{at + CHIP_WIDTH / 2:g}" y="{y + 15:g}" text-anchor="middle">{escape(room)}</text>',
            ]
    return "\n".join(lines)


def _arrow(upper: tuple[float, float, float, float], lower: tuple[float, float, float, float]) -> str:
    x1, y1, x2, y2 = upper[0] + upper[2] / 2, upper[1] + upper[3], lower[0] + lower[2] / 2, lower[1]
    half = (y1 + y2) / 2
    return f'<path class="arrow" d="M{x1:g} {y1:g} C{x1:g} {half:g} {x2:g} {half:g} {x2:g} {y2 - 2:g}"/>'


if __name__ == "__main__":
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    sys.stdout.write(figure(read_modules(ROOT), settings["tool"]["importlinter"]["contracts"]))
