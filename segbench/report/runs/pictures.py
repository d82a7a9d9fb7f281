"""Reads a suite's gallery: images, labels and predictions, with errors marked."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from segbench.report.text import is_absent
from segbench.results.arrays.gallery import Gallery, GalleryImage, find_galleries
from segbench.results.record import Status

Pixels = NDArray[np.uint8]

UNREADABLE = (
    *(OSError, ValueError, SyntaxError, EOFError, struct.error, zlib.error),
    Image.DecompressionBombError,
)
"""What Pillow raises on files that are truncated, corrupt, too large or not images."""

_VOID = 255
_ROLES = {"hardest": 0, "median": 1, "easiest": 2, "disagreement": 3}
_MAGENTA = (230, 0, 190)
_MARKS = (_MAGENTA, (255, 60, 0), (0, 200, 255), (255, 220, 0), (60, 255, 60))
"""Candidate colours for errors: the first that resembles no class is used."""
_ALIKE = 110.0
"""Colours that are nearer to each other than this, in RGB, look alike."""


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
        facts: Its entry in the gallery.
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


@dataclass(frozen=True, eq=False)
class Pictures:
    """The gallery of one table's test data.

    Attributes:
        folder: Where its files are.
        gallery: Its index.
        networks: Those whose predictions all of its images have, best first.
    """

    folder: Path
    gallery: Gallery
    networks: tuple[Pictured, ...]

    @property
    def images(self) -> list[GalleryImage]:
        """Its images, the hardest first."""
        return sorted(self.gallery.images, key=lambda image: _ROLES[image.role])

    def read(self, most: int | None = None) -> list[Seen]:
        """Return the pictures of each image; an empty list if any of them cannot be read."""
        runs = [network.run for network in self.networks[:most]]
        if not runs:
            return []
        try:
            return [_seen(self.folder, image, runs) for image in self.images]
        except UNREADABLE:
            return []


def find_pictures(board: pd.DataFrame, runs: pd.DataFrame) -> Pictures | None:
    """Return the pictures of one table's test data; None where no gallery of it was stored."""
    found = _gallery(board, runs)
    return None if found is None else Pictures(*found, tuple(_pictured(board, runs, found[1])))


def role_in_words(role: str) -> str:
    """Return why an image was chosen, such as ``largest disagreement``."""
    return "largest disagreement" if role == "disagreement" else role


def mark_of(palette: Sequence[int]) -> tuple[int, int, int]:
    """Return the colour of errors: magenta, or another where a class looks like it.

    Args:
        palette: The classes' colours, three numbers each.
    """
    colors = np.array(palette[: len(palette) // 3 * 3], float).reshape(-1, 3)
    if not len(colors):
        return _MAGENTA
    distances = [float(np.linalg.norm(colors - np.array(mark), axis=1).min()) for mark in _MARKS]
    far = [mark for mark, distance in zip(_MARKS, distances, strict=True) if distance > _ALIKE]
    return far[0] if far else _MARKS[int(np.argmax(distances))]


def wrong(label: Pixels, prediction: Pixels) -> NDArray[np.bool_]:
    """Return where a prediction is wrong, (H, W); nowhere on void pixels."""
    found: NDArray[np.bool_] = (label != prediction) & (label != _VOID)
    return found


def colored(classes: Pixels, palette: Sequence[int]) -> Pixels:
    """Return class indices (H, W) in their colours, (H, W, 3)."""
    table = np.zeros((256, 3), np.uint8)
    table[: len(palette) // 3] = np.array(palette, np.uint8).reshape(-1, 3)
    return table[classes]


def errors_over(image: Pixels, mistaken: NDArray[np.bool_], mark: tuple[int, int, int]) -> Pixels:
    """Return a picture in pale grey, (H, W, 3), with what is mistaken in one colour."""
    grey = np.asarray(image, np.float64).mean(axis=2)
    pale = (110 + 0.55 * grey).astype(np.uint8)
    over = np.repeat(pale[..., None], 3, axis=2)
    over[mistaken] = mark
    return over


def _gallery(board: pd.DataFrame, runs: pd.DataFrame) -> tuple[Path, Gallery] | None:
    protocol, data = board["protocol"].iloc[0], board["test_data"].iloc[0]
    for suite in dict.fromkeys(Path(str(path)).resolve().parent for path in runs["path"]):
        for folder, gallery in find_galleries(suite).items():
            if gallery.protocol_id == protocol and gallery.test_digest == (None if is_absent(data) else data):
                return folder, gallery
    return None


def _pictured(board: pd.DataFrame, runs: pd.DataFrame, gallery: Gallery) -> list[Pictured]:
    """Return the networks whose run has a prediction and a score for every image, best first."""
    completed = runs[runs["status"] == Status.COMPLETED]
    in_each = [set(image.predictions) & set(image.scores) for image in gallery.images]
    in_all = set.intersection(*in_each) if in_each else set()
    of_model = {str(run.model): str(run.run) for run in completed.itertuples() if run.run in in_all}
    return [
        Pictured(model, of_model[model])
        for model in map(str, board[board["position"].notna()]["model"])
        if model in of_model
    ]


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
