"""Random integers that are equal on all platforms and numpy versions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")


class PortableRandom:
    """A random generator on the raw output of PCG64, which numpy keeps stable (NEP 19), unlike that of ``Generator``.

    Args:
        key: Non-negative integers that seed the generator.
    """

    def __init__(self, *key: int) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence(key))

    def below(self, bound: int) -> int:
        """Return an integer in [0, bound); its bias is under bound / 2**64."""
        return int(self._bits.random_raw()) % bound

    def between(self, first: int, last: int) -> int:
        """Return an integer in [first, last]; ``first`` when the range is empty."""
        return first + self.below(max(last - first, 0) + 1)

    def chance(self, percent: int) -> bool:
        """Return True with a probability in percent."""
        return self.below(100) < percent

    def choice(self, options: Sequence[T]) -> T:
        """Return a random item."""
        return options[self.below(len(options))]

    def bytes(self, count: int) -> NDArray[np.uint8]:
        """Return random bytes as a (count,) uint8 array."""
        words = self._bits.random_raw(-(-count // 8)).astype("<u8")
        return words.view(np.uint8)[:count]
