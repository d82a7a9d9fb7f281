"""Qualitative results: image, label, predictions and errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from segbench.report.figures.canvas import panels
from segbench.report.figures.captions import networks, scored_rows, whole
from segbench.report.figures.plot import Plot
from segbench.report.figures.style import is_narrow, legend_label, short_name, small, styled
from segbench.report.runs.pictures import (
    Pictured,
    Pictures,
    Pixels,
    Seen,
    colored,
    errors_over,
    find_pictures,
    mark_of,
    role_in_words,
    wrong,
)
from segbench.report.text import is_absent
from segbench.results.arrays.gallery import GalleryImage

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_PICTURED = 6
"""Number of networks in the figure, the best ones."""
MOST_TILES = 20
"""Number of networks in a page's gallery."""
MOST_IN_A_COLUMN = 2
"""Number of networks in a single column of a paper."""

_TILE = 1.9
"""Width of a picture in inches."""
_TITLE = 24
"""Characters that fit above it."""


def picture_grid(board: pd.DataFrame, runs: pd.DataFrame) -> Plot | None:
    """Draw the test images of the gallery with label, predictions and errors.

    None if there is no gallery of these rows' test data, or if it cannot be read.
    """
    found = find_pictures(board, runs)
    if found is None:
        return None
    most = MOST_IN_A_COLUMN if is_narrow() else MOST_PICTURED
    images, pictured = found.images, found.networks[:most]
    seen = found.read(most)
    if not seen:
        return None
    classes = next(names for names in runs["classes"] if not is_absent(names))
    with styled():
        figure = _drawn(seen, pictured, classes)
    words = ", ".join(f"{role_in_words(image.role)} ({image.name}, {image.mean_iou:.3f})" for image in images)
    caption = (
        f"Test images by the mean over networks of their own mean IoU, of {found.gallery.test_images}: {words}. Above: "
        "the image and what each network predicted, with the mean IoU of this image; below: the label, and the image "
        f"in grey with what is wrong in a colour of its own. {_which(board, found, most)}, one seed of each, so that "
        f"no spread is known.{how_shown(images)}"
    )
    return Plot("pictures", "Predictions", caption, figure, caption)


def page_caption(board: pd.DataFrame, found: Pictures) -> str:
    """Return what a page shows of a gallery."""
    roles = ", ".join(role_in_words(image.role) for image in found.images)
    return (
        f"Of {found.gallery.test_images} test images: {roles}, by the mean over networks of the image's own mean IoU. "
        "A row holds the image, its label and, for each network, what the buttons above choose; the number is the mean "
        f"IoU of this image. {_which(board, found, MOST_TILES)}, one seed of each.{how_shown(found.images)}"
    )


def _which(board: pd.DataFrame, found: Pictures, most: int) -> str:
    """Return of which table, and of how many networks of how many, predictions are shown."""
    rows = scored_rows(board)
    pool = rows[rows["model"].isin([network.model for network in found.networks])]
    return f"{whole(board)}; {networks(pool.head(most), board, known=pool, those='whose predictions were kept')}"


def how_shown(images: Sequence[GalleryImage]) -> str:
    """Return what pictures show of images that are not of 8-bit RGB, as a sentence; empty for those that are."""
    parts = [f"{role_in_words(image.role)}: {image.shown}" for image in images if image.shown]
    return f" Of the images is shown: {'; '.join(parts)}." if parts else ""


def _drawn(seen: Sequence[Seen], pictured: Sequence[Pictured], classes: Sequence[str]) -> Figure:
    """Draw two rows an image: itself and the predictions, below them the label and the errors."""
    height, width = seen[0].label.shape
    columns = 1 + len(pictured)
    rows = 2 * len(seen)
    size = rows * (_TILE * height / width + 0.24) + 0.8
    figure, axes = panels(columns, size, rows=rows, width=_TILE * columns)
    for number, one in enumerate(seen):
        above, below = (axes[row * columns : (row + 1) * columns] for row in (2 * number, 2 * number + 1))
        _tile(above[0], one.image, role_in_words(one.facts.role))
        _tile(below[0], colored(one.label, one.palette), "label")
        for place, network in enumerate(pictured, 1):
            prediction, scored = one.predictions[network.run], f"{one.facts.scores[network.run]:.3f}"
            title = (
                f"{short_name(network.model, most=14 if is_narrow() else _TITLE)}\n{scored}" if number == 0 else scored
            )
            _tile(above[place], colored(prediction, one.palette), title)
            _tile(below[place], errors_over(one.image, wrong(one.label, prediction), mark_of(one.palette)), "")
    _legend(figure, classes, seen[-1].palette)
    return figure


def _tile(axes: Axes, pixels: Pixels, title: str) -> None:
    axes.imshow(pixels, interpolation="nearest")
    axes.set_axis_off()
    axes.set_title(title, fontsize=small("x-small"))


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
        figure.legend(
            handles=patches, loc="outside lower center", ncols=columns, frameon=False, fontsize=small("x-small")
        )
