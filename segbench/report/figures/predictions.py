"""What networks make of single images: image, label, predictions and where they are wrong."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from segbench.report.figures.canvas import panels
from segbench.report.figures.captions import networks, scored_rows, whole
from segbench.report.figures.plot import Plot
from segbench.report.figures.style import legend_label, short_name, styled
from segbench.report.text import is_absent
from segbench.results.arrays.gallery import Gallery, GalleryImage, find_galleries
from segbench.results.record import Status

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Pixels = NDArray[np.uint8]

UNREADABLE = (
    *(OSError, ValueError, SyntaxError, EOFError, struct.error, zlib.error),
    Image.DecompressionBombError,
)
"""What Pillow raises on files that are cut off, altered, too large or no picture at all."""

MOST_PICTURED = 6
"""So many networks have their predictions shown, the best."""

_TILE = 1.9
"""Inches that a picture is wide."""
_TITLE = 24
"""Signs that fit above it."""
_VOID = 255
_ROLES = {"hardest": 0, "median": 1, "easiest": 2}
_RIGHT, _WRONG, _IGNORED = (235, 235, 235), (213, 94, 0), (150, 150, 150)


@dataclass(frozen=True)
class Pictured:
    """A network whose predictions are shown.

    Attributes:
        model: Its row's name.
        run: The run they are of.
    """

    model: str
    run: str


@dataclass(frozen=True, eq=False)
class Seen:
    """The pictures of one test image, as they are drawn.

    Attributes:
        facts: What the gallery tells of it.
        image: (H, W, 3) pixels.
        label: (H, W) class indices.
        predictions: The same by run.
        palette: The classes' colours, three numbers each.
    """

    facts: GalleryImage
    image: Pixels
    label: Pixels
    predictions: Mapping[str, Pixels]
    palette: list[int]


def picture_grid(board: pd.DataFrame, runs: pd.DataFrame) -> Plot | None:
    """Draw the hardest, the median and the easiest test image with label, predictions and errors.

    None where no gallery was stored, none of these rows' test data, or one whose pictures cannot be read.
    """
    found = _gallery(board, runs)
    if found is None:
        return None
    folder, gallery = found
    known = _pictured(board, runs, gallery)
    pictured = known[:MOST_PICTURED]
    images = sorted(gallery.images, key=lambda image: _ROLES[image.role])
    seen = _read(folder, images, [network.run for network in pictured])
    if not seen:
        return None
    classes = next(names for names in runs["classes"] if not is_absent(names))
    with styled():
        figure = _drawn(seen, pictured, classes)
    words = ", ".join(f"{image.role} ({image.name}, {image.mean_iou:.3f})" for image in images)
    rows = scored_rows(board)
    pool = rows[rows["model"].isin([network.model for network in known])]
    drawn = networks(pool.head(MOST_PICTURED), board, known=pool, those="whose predictions were kept")
    caption = (
        f"Test images by the mean over networks of their own mean IoU, of {gallery.test_images}: {words}. Above: the "
        "image and what each network predicted, with the mean IoU of this image; below: the label, and in orange where "
        f"the prediction is wrong (dark grey: void). {whole(board)}; {drawn}, one seed of each, so that no spread is "
        f"known.{_how_shown(images)}"
    )
    return Plot("pictures", "Hardest, median and easiest test image", caption, figure, caption)


def _how_shown(images: Sequence[GalleryImage]) -> str:
    """Return what pictures show of images that are not of 8-bit RGB, as a sentence; empty for those that are."""
    parts = [f"{image.role}: {image.shown}" for image in images if image.shown]
    return f" Of the images is shown: {'; '.join(parts)}." if parts else ""


def _gallery(board: pd.DataFrame, runs: pd.DataFrame) -> tuple[Path, Gallery] | None:
    protocol, data = board["protocol"].iloc[0], board["test_data"].iloc[0]
    for suite in dict.fromkeys(Path(str(path)).resolve().parent for path in runs["path"]):
        for folder, gallery in find_galleries(suite).items():
            if gallery.protocol_id == protocol and gallery.test_digest == (None if is_absent(data) else data):
                return folder, gallery
    return None


def _pictured(board: pd.DataFrame, runs: pd.DataFrame, gallery: Gallery) -> list[Pictured]:
    """Return the networks with a run that all images of the gallery have, prediction and score, best first."""
    completed = runs[runs["status"] == Status.COMPLETED]
    in_each = [set(image.predictions) & set(image.scores) for image in gallery.images]
    in_all = set.intersection(*in_each) if in_each else set()
    of_model = {str(run.model): str(run.run) for run in completed.itertuples() if run.run in in_all}
    return [Pictured(model, of_model[model]) for model in map(str, scored_rows(board)["model"]) if model in of_model]


def _read(folder: Path, images: Sequence[GalleryImage], runs: Sequence[str]) -> list[Seen]:
    """Return the pictures of each image; none at all where one cannot be read: pictures are no facts."""
    if not runs:
        return []
    try:
        return [_seen(folder, image, runs) for image in images]
    except UNREADABLE:
        return []


def _seen(folder: Path, facts: GalleryImage, runs: Sequence[str]) -> Seen:
    with Image.open(folder / facts.image) as picture:
        image = np.asarray(picture.convert("RGB"))
    label, palette = _indices(folder / facts.label)
    predictions = {run: _indices(folder / facts.predictions[run])[0] for run in runs}
    shapes = {pixels.shape[:2] for pixels in (image, label, *predictions.values())}
    if len(shapes) > 1:
        raise ValueError(f"{facts.name}: pictures of several sizes")
    return Seen(facts, image, label, predictions, palette)


def _indices(file: Path) -> tuple[Pixels, list[int]]:
    """Return the class indices of a palette PNG, and its palette.

    Raises:
        ValueError: It is a picture of another kind.
    """
    with Image.open(file) as picture:
        if picture.mode != "P":
            raise ValueError(f"{file}: has no palette")
        return np.asarray(picture), list(picture.getpalette() or [])


def _drawn(seen: Sequence[Seen], pictured: Sequence[Pictured], classes: Sequence[str]) -> Figure:
    """Draw two rows an image: itself and the predictions, below them the label and the errors."""
    height, width = seen[0].label.shape
    columns = 1 + len(pictured)
    rows = 2 * len(seen)
    size = rows * (_TILE * height / width + 0.24) + 0.8
    figure, axes = panels(columns, size, rows=rows, width=_TILE * columns)
    for number, one in enumerate(seen):
        above, below = (axes[row * columns : (row + 1) * columns] for row in (2 * number, 2 * number + 1))
        _tile(above[0], one.image, f"{one.facts.role} image")
        _tile(below[0], _colored(one.label, one.palette), "label")
        for place, network in enumerate(pictured, 1):
            prediction, scored = one.predictions[network.run], f"{one.facts.scores[network.run]:.3f}"
            title = f"{short_name(network.model, most=_TITLE)}\n{scored}" if number == 0 else scored
            _tile(above[place], _colored(prediction, one.palette), title)
            _tile(below[place], _errors(one.label, prediction), "")
    _legend(figure, classes, seen[-1].palette)
    return figure


def _tile(axes: Axes, pixels: Pixels, title: str) -> None:
    axes.imshow(pixels, interpolation="nearest")
    axes.set_axis_off()
    axes.set_title(title, fontsize="x-small")


def _colored(classes: Pixels, palette: list[int]) -> Pixels:
    table = np.zeros((256, 3), np.uint8)
    table[: len(palette) // 3] = np.array(palette, np.uint8).reshape(-1, 3)
    return table[classes]


def _errors(label: Pixels, prediction: Pixels) -> Pixels:
    colored = np.where((label == prediction)[..., None], np.array(_RIGHT, np.uint8), np.array(_WRONG, np.uint8))
    colored[label == _VOID] = _IGNORED
    return colored


def _legend(figure: Figure, classes: Sequence[str], palette: list[int]) -> None:
    """Put the classes' colours below the pictures."""
    from matplotlib.patches import Patch

    patches = [
        Patch(
            facecolor=(palette[3 * index] / 255, palette[3 * index + 1] / 255, palette[3 * index + 2] / 255),
            edgecolor="0.5",
            label=legend_label(name),
        )
        for index, name in enumerate(classes)
        if 3 * index + 3 <= len(palette)
    ]
    if patches:
        longest = max(len(str(patch.get_label())) for patch in patches)
        columns = max(1, min(8, int(figure.get_figwidth() / (0.5 + 0.07 * longest))))
        figure.legend(handles=patches, loc="outside lower center", ncols=columns, frameon=False, fontsize="x-small")
