"""The files of one sample: an image and its mask."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Pair(NamedTuple):
    """The files of one sample.

    Attributes:
        name: The sample's name.
        image: The image file.
        label: The mask file.
        page: Index of the page in both files, from 0; None if they have one page.
    """

    name: str
    image: Path
    label: Path
    page: int | None = None
