"""Per-image confusion matrices, stored in ``confusion.npz``.

The file is a compressed NumPy archive without pickles. It lists the nonzero cells of the matrices in four arrays of
equal length, and those of the void row in three::

    image            int32   position of the image in ``names``
    label            int32   the labelled class (row)
    prediction       int32   the predicted class (column)
    count            int64   pixels
    void_image       int32   position of the image in ``names``
    void_prediction  int32   the class that was predicted on void pixels
    void_count       int64   void pixels
    names            text    the images' names, in order
    num_classes      int64   the number of classes C, a single number

Files of schema version 1 have no ``void_…`` arrays: their void rows are unknown, which is not the same as 0. To read a
file without segbench::

    with np.load("confusion.npz") as file:
        matrices = np.zeros((file["names"].size, file["num_classes"], file["num_classes"]), np.int64)
        matrices[file["image"], file["label"], file["prediction"]] = file["count"]
        if "void_count" in file:
            void_predicted = np.zeros((file["names"].size, file["num_classes"]), np.int64)
            void_predicted[file["void_image"], file["void_prediction"]] = file["void_count"]
"""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segbench.errors import StoreError
from segbench.results.arrays.archive import read_arrays

_CELLS = ("image", "label", "prediction", "count")
_VOID_CELLS = ("void_image", "void_prediction", "void_count")
_READ = frozenset((*_CELLS, *_VOID_CELLS, "names", "num_classes"))
_MOST_PIXELS = 2**40
"""Counts stay below this, so that those of a million images add up to no more than 64 bits hold."""
DAMAGE = (
    *(OSError, ValueError, KeyError, EOFError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error),
    *(AttributeError, TypeError, SyntaxError, tokenize.TokenError),
)
"""Errors that numpy and zipfile raise on truncated or altered files, and on files that are no archive."""


@dataclass(frozen=True, eq=False)
class ImageMatrices:
    """One confusion matrix for each image.

    Attributes:
        names: The images' names, each once.
        matrices: (N, C, C) int64, rows = label, columns = prediction.
        void_predicted: (N, C) int64, the void row: void pixels by predicted class; None if not known.
    """

    names: tuple[str, ...]
    matrices: NDArray[np.int64]
    void_predicted: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        shape = self.matrices.shape
        if len(shape) != 3 or shape[0] != len(self.names) or shape[1] != shape[2]:
            raise StoreError(f"{len(self.names)} images with matrices of shape {shape}; expected (images, C, C)")
        if self.matrices.dtype != np.int64:
            raise StoreError(f"the matrices hold {self.matrices.dtype}; expected int64 counts")
        void = self.void_predicted
        if void is not None and (void.shape != shape[:2] or void.dtype != np.int64):
            raise StoreError(f"the void row is {void.dtype} of shape {void.shape}; expected int64 of {shape[:2]}")
        if len(set(self.names)) < len(self.names):
            twice = sorted({name for name in self.names if self.names.count(name) > 1})
            raise StoreError(f"images are listed twice: {', '.join(twice[:5])}")

    @property
    def total(self) -> NDArray[np.int64]:
        """(C, C) int64, sum over all images."""
        summed: NDArray[np.int64] = self.matrices.sum(axis=0, dtype=np.int64)
        return summed

    @property
    def total_void_predicted(self) -> NDArray[np.int64] | None:
        """(C,) int64, void row over all images; None if not known."""
        return None if self.void_predicted is None else self.void_predicted.sum(axis=0, dtype=np.int64)

    @property
    def num_classes(self) -> int:
        """The number of classes C."""
        return int(self.matrices.shape[1])

    def at(self, places: Sequence[int]) -> ImageMatrices:
        """Return the matrices of the images at some places, in the order of these."""
        void = None if self.void_predicted is None else self.void_predicted[places]
        return ImageMatrices(tuple(self.names[place] for place in places), self.matrices[places], void)


def joined(parts: Sequence[ImageMatrices]) -> ImageMatrices:
    """Concatenate the matrices of several sets of images, in order.

    Raises:
        StoreError: Two sets hold an image of the same name, or have different numbers of classes.
    """
    if len(parts) == 1:
        return parts[0]
    if len({part.num_classes for part in parts}) > 1:
        raise StoreError("the matrices to join count different classes")
    names = tuple(name for part in parts for name in part.names)
    void = [part.void_predicted for part in parts if part.void_predicted is not None]
    known = np.concatenate(void) if len(void) == len(parts) else None
    return ImageMatrices(names, np.concatenate([part.matrices for part in parts]), known)


def save_matrices(path: str | Path, matrices: ImageMatrices) -> None:
    """Write per-image matrices; equal matrices give equal files.

    Args:
        path: The file to write, replaced if it exists; its folder has to exist.
        matrices: The matrices to write.

    Raises:
        StoreError: The file cannot be written.
    """
    image, label, prediction = np.nonzero(matrices.matrices)
    void = {} if matrices.void_predicted is None else _void_cells(matrices.void_predicted)
    try:
        with Path(path).open("wb") as file:
            np.savez_compressed(
                file,
                image=image.astype(np.int32),
                label=label.astype(np.int32),
                prediction=prediction.astype(np.int32),
                count=matrices.matrices[image, label, prediction],
                **void,
                names=np.array(matrices.names, dtype=np.str_),
                num_classes=np.int64(matrices.num_classes),
            )
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error}") from error


def load_matrices(path: str | Path) -> ImageMatrices:
    """Read per-image matrices.

    Args:
        path: A file written by ``save_matrices``, or one of the same layout.

    Raises:
        StoreError: The file is missing or damaged, or has another layout.
    """
    try:
        return _from_cells(read_arrays(Path(path), wanted=_READ.__contains__))
    except FileNotFoundError as error:
        raise StoreError(f"{path}: there is no such file; the run that should have written it is incomplete") from error
    except (*DAMAGE, StoreError) as error:
        raise StoreError(f"{path}: is damaged ({describe(error)}); delete the run's folder to do it again") from error


def _void_cells(void_predicted: NDArray[np.int64]) -> dict[str, Any]:
    image, prediction = np.nonzero(void_predicted)
    cells = (image.astype(np.int32), prediction.astype(np.int32), void_predicted[image, prediction])
    return dict(zip(_VOID_CELLS, cells, strict=True))


def _from_cells(arrays: Mapping[str, NDArray[Any]]) -> ImageMatrices:
    """Return the matrices of a file's arrays.

    Raises:
        KeyError: An array is missing.
        StoreError: Says which arrays are not consistent.
    """
    names, num_classes = arrays["names"], arrays["num_classes"]
    if names.ndim != 1 or names.dtype.kind != "U":
        raise StoreError("names is no list of texts")
    if num_classes.ndim != 0 or num_classes.dtype.kind not in "iu" or num_classes < 1:
        raise StoreError("num_classes is no positive whole number")
    shape = (names.size, int(num_classes), int(num_classes))
    matrices = _filled(arrays, _CELLS, shape)
    void = _filled(arrays, _VOID_CELLS, shape[:2]) if any(key in arrays for key in _VOID_CELLS) else None
    return ImageMatrices(tuple(names.tolist()), matrices, void)


def _filled(arrays: Mapping[str, NDArray[Any]], keys: Sequence[str], shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Return an array of some shape, filled with the cells that are listed; others are 0.

    Args:
        arrays: The file's arrays.
        keys: Keys of the arrays that list cells: an index for each axis, then the count.
        shape: Shape of the array that the cells belong to.

    Raises:
        KeyError: An array is missing.
        StoreError: Says which arrays are not consistent.
    """
    *indices, counts = (arrays[key] for key in keys)
    if len({values.shape for values in (*indices, counts)}) > 1 or counts.ndim != 1:
        raise StoreError(f"{', '.join(keys[:-1])} and {keys[-1]} differ in length")
    for key, limit in zip(keys, (*shape, _MOST_PIXELS), strict=True):
        values = arrays[key]
        if values.dtype.kind not in "iu":
            raise StoreError(f"{key} holds {values.dtype}, not integers")
        if values.size and (values.min() < 0 or values.max() >= limit):
            raise StoreError(f"{key} holds a value outside its range")
    cells = np.zeros(counts.size, np.int64)
    for values, size in zip(indices, shape, strict=True):
        cells *= size
        cells += values.astype(np.int64, copy=False)
    in_order = bool((cells[1:] > cells[:-1]).all())  # our files are sorted; sorting is 100 times slower
    if not in_order and np.unique(cells).size < cells.size:
        raise StoreError("a cell is listed twice")
    filled = np.zeros(shape, np.int64)
    filled.reshape(-1)[cells] = counts
    return filled


def describe(error: BaseException) -> str:
    """Describe what is wrong with an archive."""
    if isinstance(error, KeyError):
        return f"it lacks an array: {error.args[0]}"
    return " ".join(str(error).split()) or type(error).__name__
