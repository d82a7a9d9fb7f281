"""How predicted classes are written: as their indices, as a data set's own values, or as colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segbench.cli.terminal.output import tell
from segbench.config.component import DatasetEntry
from segbench.data.base import Color
from segbench.data.masks.label_maps import label_map
from segbench.errors import UsageError

_LARGEST = 65535
"""The largest number in a grey PNG."""


class MaskForm(StrEnum):
    """The meaning of the pixels of a predicted mask."""

    INDEX = "index"
    VALUES = "values"
    PALETTE = "palette"


@dataclass(frozen=True)
class MaskWriter:
    """Converts predicted classes to masks.

    Attributes:
        form: The meaning of their pixels.
        palette: One colour for each class.
        values: The data set's number of each class; the first if there are several.
    """

    form: MaskForm
    palette: tuple[Color, ...]
    values: tuple[int, ...]

    def image(self, classes: NDArray[np.uint8]) -> Image.Image:
        """Convert (H, W) class indices to a mask."""
        from segbench.engine.evaluation.sample_pictures import palette_image

        if self.form is MaskForm.INDEX:
            return palette_image(classes, self.palette)
        if self.form is MaskForm.PALETTE:
            return Image.fromarray(np.array(self.palette, dtype=np.uint8)[classes])
        kind = np.uint8 if max(self.values) <= 255 else np.uint16
        return Image.fromarray(np.array(self.values, dtype=kind)[classes])

    @property
    def in_words(self) -> str:
        """Description of the masks."""
        if self.form is MaskForm.PALETTE:
            return "RGB PNGs in the colours of the classes"
        if self.form is MaskForm.INDEX:
            return "palette PNGs of class indices"
        shown = ",".join(map(str, self.values[:20])) + (",…" if len(self.values) > 20 else "")
        return f"grey PNGs of the data set's values {shown}"


def mask_writer(form: MaskForm | None, entry: DatasetEntry, palette: Sequence[Color]) -> MaskWriter:
    """Return the writer of a form; by default the data set's own values if it has any that fit, else indices.

    Raises:
        UsageError: The values do not fit into a PNG.
    """
    own = _own_values(entry)
    chosen = form or (MaskForm.VALUES if own else MaskForm.INDEX)
    values = own or tuple(range(len(palette)))
    fit = min(values) >= 0 and max(values) <= _LARGEST
    unfit = f"the data set's values, {min(values)} to {max(values)}, do not fit into a PNG (0 to {_LARGEST})"
    if chosen is MaskForm.VALUES and not fit and form is None:
        tell(f"note: {unfit}; the masks hold class indices (--as index)")
        chosen = MaskForm.INDEX
    if chosen is MaskForm.VALUES and not fit:
        raise UsageError(f"--as values: {unfit}; use --as index")
    return MaskWriter(chosen, tuple(palette), values)


def _own_values(entry: DatasetEntry) -> tuple[int, ...] | None:
    """Return the number of each class in the masks of a folder; None if these are the indices."""
    if entry.name != "folder":
        return None

    classes, given = entry.options["classes"], entry.options["values"]
    if isinstance(classes, str):
        return label_map(classes).values
    return tuple(own[0] if isinstance(own, list | tuple) else own for own in given) if given else None
