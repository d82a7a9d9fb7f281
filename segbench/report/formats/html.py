"""Renders a report as one self-contained HTML file: no network access, no further files."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from segbench.report.blocks import Block, Heading
from segbench.report.figures.plot import PlotFiles
from segbench.report.formats.html_blocks import Shower, data_address
from segbench.report.text import printable

_LIBRARIES, _LIBRARY_STYLES, _LICENSE = ("vendor/uPlot.iife.min.js",), ("vendor/uPlot.min.css",), "vendor/uPlot.LICENSE"
_SCRIPTS = ("tables.js", "pictures.js", "drawing.js", "heat.js", "charts.js")


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

    style = "\n".join(map(_template, (*_LIBRARY_STYLES, "report.css")))
    script = "\n".join([f"/*\n{_template(_LICENSE)}*/", *map(_template, (*_LIBRARIES, *_SCRIPTS))])
    shown = Shower(drawings).show(blocks)
    titles = [block.text for block in blocks if isinstance(block, Heading) and block.level == 1]
    return _rendered(
        "report.html.j2",
        title=printable(titles[0]) if titles else "Leaderboard",
        blocks=shown,
        interactive=True,
        contents=[one for one in shown if one.get("link")],
        downloads=[_link(file) for file in downloads],
        style=Markup(style),  # noqa: S704 - our own files
        script=Markup(script),  # noqa: S704
        policy=(
            f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
            "base-uri 'none'; form-action 'none'"
        ),
    )


def to_fragment(blocks: Sequence[Block]) -> str:
    """Return headings, text and tables as an HTML fragment, for example for a notebook."""
    return _rendered("fragment.html.j2", blocks=Shower().show(blocks), interactive=False, downloads=[])


def _rendered(template: str, **values: Any) -> str:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, loader=FunctionLoader(_template))
    return environment.get_template(template).render(values)


def _link(file: Download) -> dict[str, str]:
    return {"title": file.title, "name": file.name, "address": data_address(file.text.encode(), file.media_type)}


def _digest(text: str) -> str:
    """Return the hash by which a page's policy allows one style or script."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}"


def _template(name: str) -> str:
    return (files("segbench.report") / "templates" / name).read_text(encoding="utf-8")
