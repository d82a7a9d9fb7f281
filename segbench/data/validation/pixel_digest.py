"""The digest of what a split decodes to: copies that were re-encoded without loss have the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import numpy as np

from segbench.data.base import Sample


class PixelDigest:
    """SHA-256 of class names, sample names and decoded pixels, added sample by sample in the split's order.

    How files are encoded does not enter: neither their format, bit depth or palette, nor where they lie.

    Args:
        classes: The class names.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self._content = hashlib.sha256(_line(list(classes)))

    def add(self, sample: Sample) -> None:
        """Add a sample: its name and shapes, then the bytes of its image and label, row by row.

        Of images that are not of 8 bits, the type of the pixels enters too, and their bytes are little-endian.
        """
        dtype = sample.image.dtype
        deeper = [] if dtype == np.uint8 else [dtype.name]
        self._content.update(_line([sample.name, sample.image.shape, sample.label.shape, *deeper]))
        self._content.update(np.ascontiguousarray(sample.image, dtype=dtype.newbyteorder("<")).data)
        self._content.update(np.ascontiguousarray(sample.label).data)

    def hexdigest(self) -> str:
        """Return the digest of all that was added, as 64 hexadecimal digits."""
        return self._content.hexdigest()


def _line(content: object) -> bytes:
    return json.dumps(content).encode() + b"\n"
