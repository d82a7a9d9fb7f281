"""The digest of a split's decoded pixels; lossless re-encoding does not change it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import numpy as np

from segbench.data.base import Sample


class PixelDigest:
    """SHA-256 of class names, sample names and decoded pixels, added sample by sample in the split's order.

    It does not depend on the files' format, bit depth, palette or location.

    Args:
        classes: The class names.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self._content = hashlib.sha256(_line(list(classes)))

    def add(self, sample: Sample) -> None:
        """Add a sample: its name and shapes, then the bytes of its image and label, row by row.

        For images that are not 8-bit, the pixel type is included too, and bytes are little-endian.
        """
        dtype = sample.image.dtype
        deeper = [] if dtype == np.uint8 else [dtype.name]
        self._content.update(_line([sample.name, sample.image.shape, sample.label.shape, *deeper]))
        self._content.update(np.ascontiguousarray(sample.image, dtype=dtype.newbyteorder("<")).data)
        self._content.update(np.ascontiguousarray(sample.label).data)

    def hexdigest(self) -> str:
        """Return the digest so far as 64 hexadecimal digits."""
        return self._content.hexdigest()


def _line(content: object) -> bytes:
    return json.dumps(content).encode() + b"\n"
