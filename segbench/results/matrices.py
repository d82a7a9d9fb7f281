"""Confusion matrices of single images, and the file ``confusion.npz`` that keeps them.

The file is an ordinary compressed NumPy archive without pickles, readable by anything that reads ``.npz``. It lists
the cells that are not 0; the four cell arrays have one length::

    image        int32   position of the image in ``names``
    label        int32   the labelled class (row)
    prediction   int32   the predicted class (column)
    count        int64   pixels
    names        text    the images' names, in order
    num_classes  int64   the number of classes C, a single number

To read it without segbench::

    with np.load("confusion.npz") as file:
        matrices = np.zeros((file["names"].size, file["num_classes"], file["num_classes"]), np.int64)
        matrices[file["image"], file["label"], file["prediction"]] = file["count"]
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segbench.errors import StoreError

_CELLS = ("image", "label", "prediction", "count")
DAMAGE = (OSError, ValueError, KeyError, EOFError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error)
"""What numpy and zipfile raise on files that are cut off, altered or no archive at all."""


@dataclass(frozen=True, eq=False)
class ImageMatrices:
    """One confusion matrix for each image.

    Attributes:
        names: The images' names, each once.
        matrices: (N, C, C) int64, rows = label, columns = prediction.
    """

    names: tuple[str, ...]
    matrices: NDArray[np.int64]

    def __post_init__(self) -> None:
        shape = self.matrices.shape
        if len(shape) != 3 or shape[0] != len(self.names) or shape[1] != shape[2]:
            raise StoreError(f"{len(self.names)} images with matrices of shape {shape}; expected (images, C, C)")
        if self.matrices.dtype != np.int64:
            raise StoreError(f"the matrices hold {self.matrices.dtype}; expected int64 counts")
        if len(set(self.names)) < len(self.names):
            twice = sorted({name for name in self.names if self.names.count(name) > 1})
            raise StoreError(f"images are listed twice: {', '.join(twice[:5])}")

    @property
    def total(self) -> NDArray[np.int64]:
        """(C, C) int64, the sum over all images."""
        summed: NDArray[np.int64] = self.matrices.sum(axis=0, dtype=np.int64)
        return summed

    @property
    def num_classes(self) -> int:
        """The number of classes C."""
        return int(self.matrices.shape[1])


def joined(parts: Sequence[ImageMatrices]) -> ImageMatrices:
    """Return the matrices of several sets of images as one set, in their order.

    Raises:
        StoreError: Two hold an image of one name, or count different classes.
    """
    if len({part.num_classes for part in parts}) > 1:
        raise StoreError("the matrices to join count different classes")
    names = tuple(name for part in parts for name in part.names)
    return ImageMatrices(names, np.concatenate([part.matrices for part in parts]))


def save_matrices(path: str | Path, matrices: ImageMatrices) -> None:
    """Write per-image matrices; equal matrices give equal files.

    Args:
        path: The file to write, replaced if it exists; its folder has to exist.
        matrices: What to write.

    Raises:
        StoreError: The file cannot be written.
    """
    image, label, prediction = np.nonzero(matrices.matrices)
    try:
        with Path(path).open("wb") as file:
            np.savez_compressed(
                file,
                image=image.astype(np.int32),
                label=label.astype(np.int32),
                prediction=prediction.astype(np.int32),
                count=matrices.matrices[image, label, prediction],
                names=np.array(matrices.names, dtype=np.str_),
                num_classes=np.int64(matrices.num_classes),
            )
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error}") from error


def load_matrices(path: str | Path) -> ImageMatrices:
    """Read per-image matrices.

    Args:
        path: A file written by ``save_matrices``, or any of the same layout.

    Raises:
        StoreError: The file is missing, damaged or of another layout; names it.
    """
    try:
        with Path(path).open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {key: file[key] for key in (*_CELLS, "names", "num_classes")}
        _check(arrays)
        return _from_cells(arrays)
    except FileNotFoundError as error:
        raise StoreError(f"{path}: there is no such file; the run that should have written it is incomplete") from error
    except (*DAMAGE, StoreError) as error:
        raise StoreError(f"{path}: is damaged ({describe(error)}); delete the run's folder to do it again") from error


def _from_cells(arrays: Mapping[str, NDArray[Any]]) -> ImageMatrices:
    names, num_classes = tuple(str(name) for name in arrays["names"]), int(arrays["num_classes"])
    matrices = np.zeros((len(names), num_classes, num_classes), dtype=np.int64)
    matrices[arrays["image"], arrays["label"], arrays["prediction"]] = arrays["count"]
    return ImageMatrices(names, matrices)


def _check(arrays: Mapping[str, NDArray[Any]]) -> None:
    """Refuse arrays that do not fit together.

    Raises:
        StoreError: Says which.
    """
    names, num_classes = arrays["names"], arrays["num_classes"]
    if names.ndim != 1 or names.dtype.kind != "U":
        raise StoreError("names is no list of texts")
    if num_classes.ndim != 0 or num_classes.dtype.kind not in "iu" or num_classes < 1:
        raise StoreError("num_classes is no positive whole number")
    if len({arrays[key].shape for key in _CELLS}) > 1 or arrays["count"].ndim != 1:
        raise StoreError("image, label, prediction and count differ in length")
    limits = {"image": names.size, "label": int(num_classes), "prediction": int(num_classes)}
    for key in _CELLS:
        values, limit = arrays[key], limits.get(key)
        if values.dtype.kind not in "iu":
            raise StoreError(f"{key} holds {values.dtype}, not integers")
        if values.size and (values.min() < 0 or (limit is not None and values.max() >= limit)):
            raise StoreError(f"{key} holds a value outside its range")
    image, label, prediction = (arrays[key].astype(np.int64) for key in _CELLS[:3])
    cells = (image * int(num_classes) + label) * int(num_classes) + prediction
    in_order = bool((np.diff(cells) > 0).all())  # as they are written; sorting others takes a hundred times as long
    if not in_order and np.unique(cells).size < cells.size:
        raise StoreError("a cell is listed twice")


def describe(error: BaseException) -> str:
    """Return in words what is wrong with an archive."""
    if isinstance(error, KeyError):
        return f"it lacks an array: {error.args[0]}"
    return " ".join(str(error).split()) or type(error).__name__
