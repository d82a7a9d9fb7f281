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
        page: Which page of both it is, from 0; None where they hold one.
    """

    name: str
    image: Path
    label: Path
    page: int | None = None
