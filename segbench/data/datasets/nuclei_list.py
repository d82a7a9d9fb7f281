"""The images of the nuclei data set: their splits, and what their pixels are known by."""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files
from typing import NamedTuple


class Listed(NamedTuple):
    """One image of the data set.

    Attributes:
        split: The split that it is in.
        name: The first twelve signs of its published name.
        image: The beginning of the SHA-256 of its RGB pixels.
        mask: The same of its mask, 0 and 1.
    """

    split: str
    name: str
    image: str
    mask: str


@cache
def listed() -> tuple[Listed, ...]:
    """Return the images of all splits, which were drawn by a hash of their names."""
    text = files(__package__).joinpath("nuclei_splits.csv").read_text(encoding="utf-8")
    rows = csv.reader(text.splitlines())
    next(rows)
    return tuple(Listed(*row) for row in rows)
