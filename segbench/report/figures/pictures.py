"""What networks make of single images: image, label, predictions and where they are wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from segbench.report.drawing import Plot, panels, styled
from segbench.report.figures.shown import best
from segbench.report.text import is_absent, name_of_test_data, printable, short_id
from segbench.results.gallery import Gallery, GalleryImage, find_galleries
from segbench.results.record import Status

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_PICTURED = 6
"""So many networks have their predictions shown, the best."""

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


def picture_grid(board: pd.DataFrame, runs: pd.DataFrame) -> Plot | None:
    """Draw the hardest, the median and the easiest test image with label, predictions and errors.

    None where no gallery was stored, or none of these rows' test data.
    """
    found = _gallery(board, runs)
    if found is None:
        return None
    folder, gallery = found
    pictured = _pictured(board, runs, gallery)
    if not pictured:
        return None
    images = sorted(gallery.images, key=lambda image: _ROLES[image.role])
    try:
        with styled():
            figure = _drawn(folder, images, pictured, runs)
    except (
        OSError,
        ValueError,
        SyntaxError,
        KeyError,
        Image.DecompressionBombError,
    ):  # pictures are no facts: a report does without those that are damaged
        return None
    words = ", ".join(f"{image.role} ({image.name}, {image.mean_iou:.3f})" for image in images)
    caption = (
        f"Test images by the mean over networks of their own mean IoU, of {gallery.test_images}: {words}. Above: the "
        "image and what each network predicted, with the mean IoU of this image; below: the label, and in orange where "
        f"the prediction is wrong (dark grey: void). Protocol {short_id(board['protocol'].iloc[0])}, "
        f"{name_of_test_data(board['test_data'].iloc[0])}; one seed of each network."
    )
    return Plot("pictures", "Hardest, median and easiest test image", caption, figure, caption)


def _gallery(board: pd.DataFrame, runs: pd.DataFrame) -> tuple[Path, Gallery] | None:
    protocol, data = board["protocol"].iloc[0], board["test_data"].iloc[0]
    for suite in dict.fromkeys(Path(str(path)).resolve().parent for path in runs["path"]):
        for folder, gallery in find_galleries(suite).items():
            if gallery.protocol_id == protocol and gallery.test_digest == (None if is_absent(data) else data):
                return folder, gallery
    return None


def _pictured(board: pd.DataFrame, runs: pd.DataFrame, gallery: Gallery) -> list[Pictured]:
    """Return the best networks of the gallery, best first."""
    completed = runs[runs["status"] == Status.COMPLETED]
    shown = {run for image in gallery.images for run in image.predictions}
    of_model = {str(run.model): str(run.run) for run in completed.itertuples() if run.run in shown}
    ranked = [str(model) for model in best(board)["model"] if str(model) in of_model]
    return [Pictured(model, of_model[model]) for model in ranked[:MOST_PICTURED]]


def _drawn(folder: Path, images: Sequence[GalleryImage], pictured: Sequence[Pictured], runs: pd.DataFrame) -> Any:
    classes = next(names for names in runs["classes"] if not is_absent(names))
    height, width = np.asarray(Image.open(folder / images[0].image)).shape[:2]
    tile = 1.9
    figure, axes = panels(
        1 + len(pictured),
        2 * len(images) * (tile * height / width + 0.24) + 0.8,
        rows=2 * len(images),
        width=tile * (1 + len(pictured)),
    )
    columns = 1 + len(pictured)
    palette: list[int] = []
    for number, image in enumerate(images):
        above = axes[2 * number * columns : (2 * number + 1) * columns]
        below = axes[(2 * number + 1) * columns : (2 * number + 2) * columns]
        label, palette = _read(folder / image.label)
        _tile(above[0], np.asarray(Image.open(folder / image.image).convert("RGB")), f"{image.role} image")
        _tile(below[0], _colored(label, palette), "label")
        for place, network in enumerate(pictured, 1):
            prediction, _ = _read(folder / image.predictions[network.run])
            title = f"{printable(network.model)}\n{image.scores[network.run]:.3f}"
            _tile(above[place], _colored(prediction, palette), title if number == 0 else title.split("\n")[1])
            _tile(below[place], _errors(label, prediction), "")
    _legend(figure, classes, palette)
    return figure


def _tile(axes: Axes, pixels: NDArray[np.uint8], title: str) -> None:
    axes.imshow(pixels, interpolation="nearest")
    axes.set_axis_off()
    axes.set_title(title, fontsize="x-small")


def _read(file: Path) -> tuple[NDArray[np.uint8], list[int]]:
    """Return the class indices of a palette PNG, and its palette."""
    with Image.open(file) as picture:
        return np.asarray(picture), list(picture.getpalette() or [])


def _colored(classes: NDArray[np.uint8], palette: list[int]) -> NDArray[np.uint8]:
    table = np.zeros((256, 3), np.uint8)
    table[: len(palette) // 3] = np.array(palette, np.uint8).reshape(-1, 3)
    return table[classes]


def _errors(label: NDArray[np.uint8], prediction: NDArray[np.uint8]) -> NDArray[np.uint8]:
    colored = np.where((label == prediction)[..., None], np.array(_RIGHT, np.uint8), np.array(_WRONG, np.uint8))
    colored[label == _VOID] = _IGNORED
    return colored


def _legend(figure: Any, classes: Sequence[str], palette: list[int]) -> None:
    """Put the classes' colours below the pictures."""
    from matplotlib.patches import Patch

    patches = [
        Patch(
            facecolor=(palette[3 * index] / 255, palette[3 * index + 1] / 255, palette[3 * index + 2] / 255),
            edgecolor="0.5",
            label=name,
        )
        for index, name in enumerate(map(printable, classes))
        if 3 * index + 3 <= len(palette)
    ]
    figure.legend(
        handles=patches, loc="outside lower center", ncols=min(8, len(patches)), frameon=False, fontsize="x-small"
    )
