"""Reads TIFF masks that Pillow cannot read correctly: 64-bit integers, 16-bit floats, bool."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segbench.data.decoding.decoding import chosen_page, several_pages
from segbench.data.decoding.tiff import is_tiff, read_tiff, tiff_facts
from segbench.errors import DataError

_LIMIT = 2**31


def read_tiff_numbers(path: Path) -> NDArray[Any]:
    """Return the (H, W) integers of a single-band TIFF of any type; bool gives 0 and 1.

    Raises:
        DataError: The file cannot be read, has several bands or unchosen pages, or does not hold integers.
    """
    facts, page = tiff_facts(path), chosen_page()
    if page is None and facts.pages > 1:
        raise several_pages(path, facts.pages)
    if facts.bands > 1:
        raise DataError(
            f"{path}: holds {facts.bands} bands of {facts.dtype}, of which a mask has one (or three of 8 bits, as "
            "colours); save the band of the classes as a grey PNG"
        )
    numbers = read_tiff(path, page=page)[:, :, 0]
    if numbers.dtype == np.bool_:
        return numbers.astype(np.uint8)
    return whole_numbers(path, numbers)


def is_bool_of_tifffile(path: Path) -> bool:
    """Return whether tifffile wrote a bool array: it marks 0 as white, although 0 means False."""
    if not is_tiff(path):
        return False
    facts = tiff_facts(path)
    return facts.dtype == "bool" and facts.software.startswith("tifffile")


def whole_numbers(path: Path, numbers: NDArray[Any]) -> NDArray[Any]:
    """Convert numbers of any type to 32-bit integers.

    Raises:
        DataError: A number is not an integer, or does not fit into 32 bits.
    """
    if numbers.dtype.kind not in "uif":
        raise DataError(f"{path}: holds {numbers.dtype} pixels, not whole class numbers; save it with 8 or 16 bits")
    if numbers.dtype.kind in "ui":
        large = numbers[(numbers >= _LIMIT) | (numbers <= -_LIMIT)] if numbers.size else numbers
        if large.size:
            raise DataError(
                f"{path}: holds {large.flat[0]} ({large.size} pixels), which is no class number; save the classes as "
                "a grey PNG with 8 or 16 bits"
            )
        return numbers.astype(np.int32)
    numbers = numbers.astype(np.float64)
    odd = numbers[~(np.isfinite(numbers) & (numbers == np.rint(numbers)) & (np.abs(numbers) < _LIMIT))]
    if odd.size:
        raise DataError(
            f"{path}: holds floating-point numbers such as {odd.flat[0]:.4g} ({odd.size} pixels), not whole class "
            "numbers; of a probability map, save the class of the highest one; give no-data pixels a number to ignore"
        )
    return numbers.astype(np.int64).astype(np.int32)
