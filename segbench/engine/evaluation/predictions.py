"""Stores the predictions of a test split as PNGs in a zip archive, and reads them."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segbench.data.base import Color
from segbench.engine.evaluation.sample_pictures import palette_image
from segbench.errors import StoreError

_PNG_HEADER_BYTES = 65_536
"""Room for palette and other chunks beside the pixels of a PNG."""
_ZIP_FAULTS = (
    OSError,
    KeyError,
    ValueError,
    EOFError,
    RuntimeError,
    NotImplementedError,
    zlib.error,
    zipfile.BadZipFile,
)
"""Errors of zipfile for damaged archives."""


class PredictionArchive:
    """A zip archive of predictions: palette PNGs named by the image's index, such as ``00007.png``."""

    def __init__(self, file: Path | BytesIO, palette: tuple[Color, ...]) -> None:
        self.palette, self.count = palette, 0
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_STORED)

    def __enter__(self) -> PredictionArchive:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def add(self, picture: bytes) -> None:
        """Append the prediction of the next image, a PNG from ``prediction_picture``."""
        _append(self._zip, self.count, picture)
        self.count += 1


def prediction_picture(prediction: NDArray[np.uint8], palette: tuple[Color, ...]) -> bytes:
    """Return (H, W) class indices as a palette PNG."""
    picture = BytesIO()
    palette_image(prediction, palette).save(picture, format="PNG", compress_level=1)
    return picture.getvalue()


def prediction_name(index: int) -> str:
    """Return the name in the archive for an image's index in the test split."""
    return f"{index:05d}.png"


def read_archive(file: Path) -> list[bytes]:
    """Return the PNGs of an archive, in order."""
    with zipfile.ZipFile(file) as archive:
        return [archive.read(name) for name in archive.namelist()]


def write_archive(file: Path, pictures: Sequence[bytes]) -> None:
    """Write an archive of PNGs; the same file as from appending them one by one."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for index, picture in enumerate(pictures):
            _append(archive, index, picture)


def read_prediction(file: Path, index: int, *, pixels: int) -> bytes:
    """Return the PNG of the prediction for an image's index in the test split.

    Args:
        file: The archive.
        index: The index.
        pixels: The pixels of the image; a PNG of more bytes than so many pixels can need is not read.

    Raises:
        StoreError: The archive cannot be read, or lacks the prediction.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            size = archive.getinfo(prediction_name(index)).file_size
            if size > 2 * pixels + _PNG_HEADER_BYTES:
                raise StoreError(f"{file}: the prediction of image {index} has {size:,} bytes for {pixels:,} pixels")
            return archive.read(prediction_name(index))
    except _ZIP_FAULTS as error:
        raise StoreError(f"{file}: the prediction of image {index} cannot be read: {error}") from None


def _append(archive: zipfile.ZipFile, index: int, picture: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(prediction_name(index)), picture)  # dated 1980: equal pictures give equal files
