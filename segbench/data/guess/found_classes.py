"""What masks tell of a data set's classes, in the keys of a suite."""

from __future__ import annotations

from dataclasses import dataclass, replace

from segbench.data.base import Color
from segbench.data.masks.label_maps import LABEL_MAPS


@dataclass(frozen=True)
class FoundClasses:
    """What the masks tell of the classes, in the keys of ``dataset: folder``.

    Attributes:
        names: The classes' names, or a ready-made map; empty when the masks tell nothing.
        values: The mask value of each class, where they are not 0, 1, ...
        palette: The colour of each class, where colours decide.
        ignore: The mask values that count nowhere.
        ignore_color: The colour that counts nowhere.
        notes: What a person has to know of them, in sentences.
        open_values: Mask values that are proposed as classes, and may be void.
        read: How many masks were read.
        files: How many there are.
    """

    names: tuple[str, ...] | str = ()
    values: tuple[int, ...] = ()
    palette: tuple[Color, ...] = ()
    ignore: tuple[int, ...] = ()
    ignore_color: Color | None = None
    notes: tuple[str, ...] = ()
    open_values: tuple[int, ...] = ()
    read: int = 0
    files: int = 0

    @property
    def count(self) -> int:
        """How many classes there are, 0 when the masks tell nothing."""
        return len(LABEL_MAPS[self.names].classes if isinstance(self.names, str) else self.names)

    def with_void(self, value: int) -> FoundClasses:
        """Return the same with one of the open values as void."""
        assert not isinstance(self.names, str)
        kept = [(name, own) for name, own in zip(self.names, self.values, strict=True) if own != value]
        values = [own for _, own in kept]
        return replace(
            self,
            names=tuple(name for name, _ in kept),
            values=() if values == list(range(len(values))) else tuple(values),
            ignore=(*self.ignore, value),
            open_values=tuple(own for own in self.open_values if own != value),
        )
