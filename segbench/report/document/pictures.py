"""A page's gallery: test images with each network's prediction, as embedded pictures."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from segbench.report.blocks import Drawing, Gallery, PicturedImage, Tile
from segbench.report.figures.predictions import MOST_TILES, page_caption
from segbench.report.formats.html_blocks import data_address
from segbench.report.runs.pictures import Pixels, Seen, find_pictures, mark_of, role_in_words, wrong
from segbench.report.text import is_absent

LONGEST_SIDE = 480
"""Largest width and height of pictures in pixels."""
_LOSSLESS_BYTES = 40_000
"""Photographs with a larger PNG are stored as JPEG."""


def gallery(board: pd.DataFrame, runs: pd.DataFrame, drawing: Drawing) -> Gallery | None:
    """Return the gallery of one table's test data; None if it has none that can be read.

    Args:
        board: The rows of the table.
        runs: The runs that it is made of.
        drawing: The figure that stands for it in Markdown.
    """
    found = find_pictures(board, runs)
    seen = [] if found is None else found.read(MOST_TILES)
    if found is None or not seen:
        return None
    palette = seen[0].palette
    names = next(names for names in runs["classes"] if not is_absent(names))
    known = range(min(len(names), len(palette) // 3))
    classes = tuple((str(names[index]), _hex(palette[3 * index : 3 * index + 3])) for index in known)
    images = tuple(
        _pictured(one, [(network.model, network.run) for network in found.networks[:MOST_TILES]]) for one in seen
    )
    return Gallery(images, classes, _hex(mark_of(palette)), drawing, page_caption(board, found))


def _pictured(one: Seen, networks: list[tuple[str, str]]) -> PicturedImage:
    height, width = one.label.shape
    step = max(1, -(-max(height, width) // LONGEST_SIDE))
    label = one.label[::step, ::step]
    tiles = tuple(
        Tile(
            model,
            float(one.facts.scores[run]),
            _indexed(one.predictions[run][::step, ::step], one.palette),
            _marked(wrong(label, one.predictions[run][::step, ::step]), mark_of(one.palette)),
        )
        for model, run in networks
    )
    image = Image.fromarray(one.image).resize(label.shape[::-1], Image.Resampling.BOX) if step > 1 else one.image
    return PicturedImage(
        role_in_words(one.facts.role),
        one.facts.name,
        one.facts.mean_iou,
        _photograph(np.asarray(image)),
        _indexed(label, one.palette),
        tiles,
        (label.shape[1], label.shape[0]),
    )


def _photograph(pixels: Pixels) -> str:
    png = _saved(Image.fromarray(pixels), format="PNG", optimize=True)
    if len(png) <= _LOSSLESS_BYTES:
        return data_address(png, "image/png")
    return data_address(_saved(Image.fromarray(pixels), format="JPEG", quality=85), "image/jpeg")


def _indexed(classes: Pixels, palette: list[int]) -> str:
    picture = Image.fromarray(np.ascontiguousarray(classes))
    picture.putpalette(palette)
    return data_address(_saved(picture, format="PNG", optimize=True), "image/png")


def _marked(mistaken: Any, mark: tuple[int, int, int]) -> str:
    """Return the errors in one colour; all else is transparent."""
    picture = Image.fromarray(np.ascontiguousarray(mistaken).astype(np.uint8))
    picture.putpalette([0, 0, 0, *mark])
    return data_address(_saved(picture, format="PNG", optimize=True, transparency=0), "image/png")


def _saved(picture: Image.Image, **how: Any) -> bytes:
    content = io.BytesIO()
    picture.save(content, **how)
    return content.getvalue()


def _hex(color: Any) -> str:
    return "#" + "".join(f"{int(part):02x}" for part in color)
