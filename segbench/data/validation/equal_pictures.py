"""Recognises equal pictures by what they decode to, whatever their files are called and however they are encoded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_DIGEST_BYTES = 8
"""Two of 100,000 different pictures have the same digest of so many bytes with a probability of 3e-10."""


class Alike(NamedTuple):
    """An image of one split that shows the same picture as an image of another.

    Attributes:
        first: Index in the first split.
        second: Index in the second split.
    """

    first: int
    second: int


def picture_digest(image: NDArray[np.generic]) -> str | None:
    """Return 16 hexadecimal digits that equal pictures have in common; None for a picture of one colour all over.

    Blank pictures, such as black frames, are alike without being copies.

    Args:
        image: (H, W, C) of any type.
    """
    pixels = np.ascontiguousarray(image)
    if (pixels[:1] == pixels[:1, :1]).all() and (pixels == pixels[:1, :1]).all():
        return None
    content = hashlib.sha256(repr((pixels.shape, pixels.dtype.str)).encode())
    content.update(pixels.view(np.uint8).data)
    return content.hexdigest()[: 2 * _DIGEST_BYTES]


def alike(first: Sequence[str | None], second: Sequence[str | None]) -> list[Alike]:
    """Return the images of a second split whose picture is in a first one, given the digests of both in order."""
    places = {digest: index for index, digest in reversed(list(enumerate(first))) if digest is not None}
    return [
        Alike(places[digest], index) for index, digest in enumerate(second) if digest is not None and digest in places
    ]


def repeated(digests: Iterable[str | None]) -> list[tuple[int, ...]]:
    """Return the images of each picture that occurs more than once."""
    places: dict[str, list[int]] = {}
    for index, digest in enumerate(digests):
        if digest is not None:
            places.setdefault(digest, []).append(index)
    return [tuple(same) for same in places.values() if len(same) > 1]
