"""Further counts of each test image besides its confusion matrix, stored in ``details.npz``.

The file is a compressed NumPy archive without pickles. ``names`` holds the images' names, in the order of
``confusion.npz``. Every other array has one entry per image along its first axis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segbench.errors import StoreError
from segbench.results.arrays.archive import read_arrays
from segbench.results.arrays.matrices import DAMAGE, describe

BOUNDARY = "boundary_"
"""Name prefix of the arrays with the fields of ``BoundaryCounts``, (N, C) each."""
CALIBRATION = "calibration_"
"""Name prefix of the arrays with the fields of ``CalibrationCounts``, (N, bins) each."""
_NAMES = "names"


@dataclass(frozen=True, eq=False)
class ImageDetails:
    """Counts of each image.

    Attributes:
        names: The images' names.
        arrays: (N, ...) arrays by name.
    """

    names: tuple[str, ...]
    arrays: Mapping[str, NDArray[Any]]

    def __post_init__(self) -> None:
        for name, array in self.arrays.items():
            if array.ndim == 0 or len(array) != len(self.names):
                raise StoreError(f"{name} has the shape {array.shape} where there are {len(self.names)} images")

    def part(self, prefix: str) -> dict[str, NDArray[Any]]:
        """Return the arrays whose names begin with a prefix; the prefix is removed."""
        return {name.removeprefix(prefix): array for name, array in self.arrays.items() if name.startswith(prefix)}


def together(parts: Sequence[ImageDetails]) -> ImageDetails | None:
    """Concatenate the counts of several sets of images, in order; None if there are none.

    Raises:
        StoreError: The sets do not hold the same arrays.
    """
    if len(parts) == 1:
        return parts[0]
    if len({frozenset(part.arrays) for part in parts}) != 1:
        if parts:
            raise StoreError("the counts to join are not of one kind")
        return None
    arrays = {name: np.concatenate([part.arrays[name] for part in parts]) for name in parts[0].arrays}
    return ImageDetails(tuple(name for part in parts for name in part.names), arrays)


def save_details(path: Path, details: ImageDetails) -> None:
    """Write the counts; equal counts give equal files.

    Raises:
        StoreError: The file cannot be written.
    """
    try:
        with path.open("wb") as file:
            np.savez_compressed(file, **{_NAMES: np.array(details.names, dtype=np.str_)}, **details.arrays)  # type: ignore[arg-type]
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error}") from error


def load_details(path: Path, prefix: str = "") -> ImageDetails | None:
    """Read the counts; None if there is no file (runs of earlier versions have none).

    Args:
        path: The file.
        prefix: Start of the names of the arrays to read; all by default.

    Raises:
        StoreError: The file is damaged or has another layout.
    """
    if not path.is_file():
        return None
    try:
        arrays = read_arrays(path, wanted=lambda name: name == _NAMES or name.startswith(prefix))
        return ImageDetails(tuple(map(str, arrays.pop(_NAMES))), arrays)
    except (*DAMAGE, TypeError, StoreError) as error:
        raise StoreError(f"{path}: is damaged ({describe(error)}); delete the run's folder to do it again") from error
