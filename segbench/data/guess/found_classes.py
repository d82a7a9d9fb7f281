"""The classes guessed from masks, as keys of a suite."""

from __future__ import annotations

from dataclasses import dataclass, replace

from segbench.data.base import Color
from segbench.data.masks.label_maps import LABEL_MAPS


@dataclass(frozen=True)
class FoundClasses:
    """The classes guessed from masks, as keys of ``dataset: folder``.

    Attributes:
        names: The classes' names, or a predefined map; empty if nothing could be guessed.
        values: The mask value of each class, if not 0, 1, ...
        palette: The colour of each class, if colours define the classes.
        ignore: The mask values of void.
        ignore_color: The colour of void.
        notes: Notes for the user.
        open_values: Mask values proposed as classes that may be void.
        read: Number of masks read.
        files: Number of masks.
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
        """Number of classes; 0 if nothing could be guessed."""
        return len(LABEL_MAPS[self.names].classes if isinstance(self.names, str) else self.names)

    def with_void(self, value: int) -> FoundClasses:
        """Return the classes with one of the open values as void."""
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
