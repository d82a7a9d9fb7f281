"""Checks and decodes COCO's run lengths of a region, as a list of numbers or compressed to text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from segbench.data.annotations.regions import BoolMask, Size
from segbench.errors import DataError

_FIRST_SIGN = 48
"""Signs stand for 0 to 63 from this one on: five bits of a number, and whether more follow."""


def checked_run_lengths(outline: Mapping[str, Any], size: Size, where: str) -> Mapping[str, Any]:
    """Return run lengths if they cover an image exactly; pycocotools draws others without a word.

    Args:
        outline: COCO's ``{"size": [height, width], "counts": ...}``.
        size: Height and width of the image.
        where: What has them, for messages.

    Raises:
        DataError: They are of another size, no run lengths, or add up to something else.
    """
    given, counts = outline.get("size"), outline.get("counts")
    if not isinstance(given, list) or tuple(given) != size:
        raise DataError(
            f"{where}: its run lengths are of {given} pixels (height, width), but the image of {list(size)}"
        )
    if not isinstance(counts, list | str):
        raise DataError(f"{where}: has no run lengths ('counts')")
    runs = _uncompressed(counts) if isinstance(counts, str) else counts
    whole = runs is not None and all(isinstance(run, int) and run >= 0 for run in runs)
    if runs is None or not whole or sum(runs) != size[0] * size[1]:
        raise DataError(f"{where}: its run lengths are no whole numbers that add up to {size[0] * size[1]:,} pixels")
    return outline


def decode_run_lengths(outline: Mapping[str, Any], size: Size) -> BoolMask:
    """Return the (H, W) pixels of checked run lengths."""
    from pycocotools import mask as coco_mask

    runs = outline if isinstance(outline["counts"], str) else coco_mask.frPyObjects(dict(outline), *size)
    return np.asarray(coco_mask.decode(dict(runs)), dtype=np.bool_)


def _uncompressed(text: str) -> list[int] | None:
    """Return the run lengths of a compressed text; None if it is none.

    From the fourth on, each is stored as its difference from the last but one.
    """
    runs: list[int] = []
    number = bits = 0
    for sign in text:
        code = ord(sign) - _FIRST_SIGN
        if not 0 <= code < 64:
            return None
        number |= (code & 31) << bits
        bits += 5
        if code & 32:
            continue
        if code & 16:
            number -= 1 << bits
        runs.append(number + (runs[-2] if len(runs) > 2 else 0))
        number = bits = 0
    return None if bits else runs
