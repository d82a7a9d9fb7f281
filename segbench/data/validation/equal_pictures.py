"""Finds equal pictures by their decoded pixels, regardless of file names and encoding."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_DIGEST_BYTES = 8
"""Bytes of a digest; a collision among 100,000 different pictures has a probability of 3e-10."""


class Alike(NamedTuple):
    """Two images of different splits with the same picture.

    Attributes:
        first: Index in the first split.
        second: Index in the second split.
    """

    first: int
    second: int


def picture_digest(image: NDArray[np.generic]) -> str | None:
    """Return a digest of a picture, 16 hexadecimal digits; None for a picture of a single colour.

    Blank pictures, such as black frames, are equal without being copies.

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
    """Return the images of a second split whose pictures are in the first, given the digests of both."""
    places = {digest: index for index, digest in reversed(list(enumerate(first))) if digest is not None}
    return [
        Alike(places[digest], index) for index, digest in enumerate(second) if digest is not None and digest in places
    ]


def repeated(digests: Iterable[str | None]) -> list[tuple[int, ...]]:
    """Return the images of each repeated picture."""
    places: dict[str, list[int]] = {}
    for index, digest in enumerate(digests):
        if digest is not None:
            places.setdefault(digest, []).append(index)
    return [tuple(same) for same in places.values() if len(same) > 1]
