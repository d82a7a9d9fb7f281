"""Maps the numbers and colours of mask files to classes, void or unknown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segbench.data.base import Color
from segbench.data.masks.terms import KEYS, MaskTerms

VOID = -1
"""Label of void pixels; as uint8 it is ``IGNORE_INDEX``."""
UNKNOWN = -2
"""Label of pixels that are neither a class nor void."""

Labels = NDArray[np.int16]
CodeArray = NDArray[Any]


@dataclass(frozen=True)
class LabelTable:
    """Meanings of the numbers and colours in a data set's masks.

    Attributes:
        num_classes: Number of classes.
        numbers: Stored number -> class or ``VOID``.
        colors: Colour -> class or ``VOID``; None if the masks hold only numbers.
        numbers_given: Whether the numbers were given explicitly instead of being 0, 1, ...
        other_number: Meaning of all other numbers: ``UNKNOWN`` or ``VOID``.
        other_color: Meaning of all other colours, likewise.
        terms: Names of these options in messages.
    """

    num_classes: int
    numbers: Mapping[int, int]
    colors: Mapping[Color, int] | None = None
    numbers_given: bool = False
    other_number: int = UNKNOWN
    other_color: int = UNKNOWN
    terms: MaskTerms = KEYS
    of_numbers: Lookup = field(init=False, repr=False)
    of_colors: Lookup = field(init=False, repr=False)

    def __post_init__(self) -> None:
        colors = {color_code(color): label for color, label in (self.colors or {}).items()}
        object.__setattr__(self, "of_numbers", Lookup(self.numbers, other=self.other_number))
        object.__setattr__(self, "of_colors", Lookup(colors, other=self.other_color))

    @property
    def class_numbers(self) -> dict[int, int]:
        """Stored number -> class, without void."""
        return {number: label for number, label in self.numbers.items() if label != VOID}

    @property
    def void_numbers(self) -> tuple[int, ...]:
        """The stored numbers of void."""
        return tuple(number for number, label in self.numbers.items() if label == VOID)


class Lookup:
    """Looks up the meanings of an array of integers.

    Args:
        meanings: Number -> class or ``VOID``.
        other: Meaning of all other numbers.
    """

    def __init__(self, meanings: Mapping[int, int], *, other: int = UNKNOWN) -> None:
        self._codes = np.array(sorted(meanings), dtype=np.int64)
        self._labels = np.array([meanings[code] for code in sorted(meanings)], dtype=np.int16)
        self._other = np.int16(other)
        self._bytes = self._search(np.arange(256))

    def __call__(self, codes: CodeArray) -> Labels:
        """Return the meanings of an integer array, in its shape."""
        if codes.dtype == np.uint8:
            return np.take(self._bytes, codes, mode="clip")  # five times as fast as indexing, and never clipped
        return self._search(codes)

    def _search(self, codes: CodeArray) -> Labels:
        if not self._codes.size:
            return np.full(codes.shape, self._other, dtype=np.int16)
        places = np.searchsorted(self._codes, codes).clip(0, len(self._codes) - 1)
        labels: Labels = np.where(self._codes[places] == codes, self._labels[places], self._other)
        return labels


def color_code(color: Color) -> int:
    """Return a colour as one number."""
    return color[0] << 16 | color[1] << 8 | color[2]


def color_codes(colors: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Return the numbers of (..., 3) colours."""
    codes: NDArray[np.int32] = colors.astype(np.int32) @ np.array([65536, 256, 1], dtype=np.int32)
    return codes


def color_of(code: int) -> Color:
    """Return the colour of a number."""
    return code >> 16, code >> 8 & 255, code & 255
