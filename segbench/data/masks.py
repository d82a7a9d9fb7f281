"""Reads masks as class indices: from stored numbers, from numbers that stand for classes, or from colours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from segbench.data.base import IGNORE_INDEX, Color, LabelArray
from segbench.data.decoding import decode
from segbench.errors import DataError

LabelDecoder = Callable[[Path], LabelArray]


def read_index_label(path: Path) -> LabelArray:
    """Read a label whose pixels are class indices: a palette PNG, or a grey one of 1, 8 or 16 bits.

    Returns:
        (H, W) uint8, as stored.

    Raises:
        DataError: The file cannot be read, is a colour image, or holds numbers above 255.
    """
    image = decode(path)
    if image.mode in ("L", "P", "1"):
        return np.array(image, dtype=np.uint8)
    if image.mode in ("LA", "PA"):
        return np.array(image)[:, :, 0].astype(np.uint8)
    if not image.mode.startswith("I"):
        raise DataError(f"{path}: is a colour image ({image.mode}), not class indices; give the data set's palette")
    indices = np.asarray(image)
    if indices.size and (indices.min() < 0 or indices.max() > 255):
        raise DataError(f"{path}: holds label {int(indices.max())}; labels must fit into 0 to 255")
    return indices.astype(np.uint8)


class IndexLabels:
    """Decodes index labels and renames some of them.

    Args:
        renamed: Stored label -> label; such as ``{11: 255}`` where 11 means void.
    """

    def __init__(self, renamed: Mapping[int, int]) -> None:
        self.table = np.arange(256, dtype=np.uint8)
        for stored, label in renamed.items():
            self.table[stored] = label

    def __call__(self, path: Path) -> LabelArray:
        """Return (H, W) uint8."""
        return self.table[read_index_label(path)]


class ValueLabels:
    """Decodes index labels whose numbers are not 0, 1, ...

    Args:
        values: The stored number of each class.
        ignore: The stored number that counts nowhere, if any.
    """

    def __init__(self, values: Sequence[int], *, ignore: int | None) -> None:
        self.known = np.zeros(256, dtype=bool)
        self.table = np.zeros(256, dtype=np.uint8)
        self.known[list(values)] = True
        self.table[list(values)] = np.arange(len(values))
        if ignore is not None:
            self.known[ignore] = True
            self.table[ignore] = IGNORE_INDEX

    def __call__(self, path: Path) -> LabelArray:
        """Return (H, W) uint8.

        Raises:
            DataError: A number stands for no class; names the file and the numbers.
        """
        stored = read_index_label(path)
        strange = [str(value) for value in np.unique(stored) if not self.known[value]]
        if strange:
            raise DataError(f"{path}: holds {', '.join(strange[:5])}, which is the value of no class; see 'values'")
        labels: LabelArray = self.table[stored]
        return labels


class ColorLabels:
    """Decodes labels drawn in the colours of a palette; index files are passed on to ``indices``.

    Args:
        palette: One colour for each class.
        ignored: The colour of pixels that count nowhere, if any.
        indices: Decodes files that hold indices instead of colours.
    """

    def __init__(self, palette: tuple[Color, ...], *, ignored: Color | None, indices: LabelDecoder) -> None:
        codes = {_code(color): label for label, color in enumerate(palette)}
        if ignored is not None:
            codes.setdefault(_code(ignored), IGNORE_INDEX)
        self.codes = np.array(sorted(codes), dtype=np.int32)
        self.labels = np.array([codes[code] for code in sorted(codes)], dtype=np.uint8)
        self.indices = indices

    def __call__(self, path: Path) -> LabelArray:
        """Return (H, W) uint8.

        Raises:
            DataError: A colour is not in the palette; names the file and the colours.
        """
        image = decode(path)
        if image.mode not in ("RGB", "RGBA", "RGBX"):
            return self.indices(path)
        codes = np.array(image.convert("RGB")).astype(np.int32) @ np.array([65536, 256, 1], dtype=np.int32)
        places = np.searchsorted(self.codes, codes).clip(0, len(self.codes) - 1)
        strange = np.unique(codes[self.codes[places] != codes])
        if strange.size:
            colors = ", ".join(str((int(code) >> 16, int(code) >> 8 & 255, int(code) & 255)) for code in strange[:5])
            raise DataError(f"{path}: {strange.size} colours are not in the palette: {colors}")
        labels: LabelArray = self.labels[places]
        return labels


def _code(color: Color) -> int:
    return color[0] << 16 | color[1] << 8 | color[2]
