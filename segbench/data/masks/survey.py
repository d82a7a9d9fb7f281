"""Looks through a data set's masks and counts what they store, before anything is made of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from segbench.data.base import Color
from segbench.data.decoding.decoding import page_count, reading_page
from segbench.data.masks.label_table import color_codes, color_of
from segbench.data.masks.stored import NumberArray, StoredMask, read_stored, used_numbers
from segbench.data.masks.thin_values import ThinValues, places_of
from segbench.data.masks.void_borders import enclosed_pixels, thick_pixels
from segbench.errors import DataError

MOST_LEVELS = 64
"""More values with gaps, or colours, than these are a picture, not a mask."""
BORDER_NUMBER = 255
BORDER_COLORS: tuple[Color, ...] = ((224, 224, 192), (255, 255, 255))
"""The number and the colours that data sets draw void borders with; (224, 224, 192) is PASCAL VOC's."""
_MOST_MIXED = 256
"""Files of more values or colours than these are not looked through for thin ones."""
_MOST_PIXELS_OF_THIN = 50_000_000
Mask = tuple[Path, int | None]
"""A file, and which of its pages; None where it is the only one."""
_MOST_FILES = 2000
_MOST_PIXELS = 600_000_000
"""So much is looked at, about a minute; of more, files spread evenly."""


@dataclass
class MaskSurvey:
    """What masks store.

    Attributes:
        files: How many masks there are.
        read: How many of them were read.
        problem: Why the first one that cannot be read cannot.
        unreadable: How many cannot be read.
        lossy: A file in a lossy format, if there is one.
        lossy_levels: (256,) pixels of each grey level in lossy files.
        pixels: Pixels of all that were read.
        numbers: Pixels of each number in grey files of 8 bits and more.
        few_bits: For what grey of few bits is multiplied by to be shown, the pixels of each stored number.
        indices: For each index in palette files, the pixels of each of its colours; None where it has none.
        colors: Pixels of each colour in RGB files.
        thick: Pixels of each border number or colour that no thin border explains.
        enclosed: Those with no more than one class around them.
        picture: A file with more colours than a mask has, if there is one.
        one_beside_border: Whether a file holds both 1 and ``BORDER_NUMBER``.
        thin_numbers: Where the numbers of grey files of 8 bits and more, and of RGB files that are grey, lie.
        thin_colors: Where the colours of RGB files lie.
    """

    files: int
    read: int = 0
    problem: str = ""
    unreadable: int = 0
    lossy: Path | None = None
    lossy_levels: NumberArray = field(default_factory=lambda: np.zeros(256, np.int64))
    pixels: int = 0
    numbers: Counter[int] = field(default_factory=Counter)
    few_bits: dict[int, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    indices: dict[int, Counter[Color | None]] = field(default_factory=lambda: defaultdict(Counter))
    colors: Counter[Color] = field(default_factory=Counter)
    thick: Counter[int | Color] = field(default_factory=Counter)
    enclosed: Counter[int | Color] = field(default_factory=Counter)
    picture: Path | None = None
    one_beside_border: bool = False
    thin_numbers: ThinValues = field(default_factory=ThinValues)
    thin_colors: ThinValues = field(default_factory=ThinValues)

    def add(self, stored: StoredMask) -> None:
        """Count one mask."""
        self.read += 1
        if stored.lossy:
            self._add_lossy(stored)
        elif stored.colors is not None:
            self._add_colors(stored)
        elif stored.numbers is not None:
            self._add_numbers(stored, stored.numbers)

    def _add_lossy(self, stored: StoredMask) -> None:
        self.lossy = self.lossy or stored.path
        grey = stored.numbers if stored.colors is None else stored.colors.mean(axis=2).astype(np.uint8)
        assert grey is not None
        self.pixels += grey.size
        self.lossy_levels = self.lossy_levels + np.bincount(grey.astype(np.int64).ravel().clip(0, 255), minlength=256)

    def _add_colors(self, stored: StoredMask) -> None:
        assert stored.colors is not None
        codes = color_codes(stored.colors)
        self.pixels += codes.size
        if len(self.colors) > _MOST_MIXED:
            return
        used, counts = np.unique(codes, return_counts=True)
        most = _MOST_MIXED if is_grey(map(color_of, used[: _MOST_MIXED + 1].tolist())) else MOST_LEVELS
        if len(used) > most:
            self.picture = self.picture or stored.path
        elif self.pixels <= _MOST_PIXELS_OF_THIN:
            self._add_thin_colors(np.searchsorted(used, codes), [color_of(code) for code in used.tolist()])
        for code, count in zip(used[: most + 1].tolist(), counts.tolist(), strict=False):
            color = color_of(code)
            self.colors[color] += count
            if color in BORDER_COLORS:
                self.thick[color] += thick_pixels(codes == code)
                self.enclosed[color] += enclosed_pixels(codes, codes == code)

    def _add_thin_colors(self, indices: NumberArray, colors: list[Color]) -> None:
        self.thin_colors.add(places_of(indices, colors))
        if is_grey(colors):
            self.thin_numbers.add(places_of(indices, [color[0] for color in colors]))

    def _add_numbers(self, stored: StoredMask, numbers: NumberArray) -> None:
        self.pixels += numbers.size
        used = used_numbers(numbers).tolist()
        counts = {number: int((numbers == number).sum()) for number in used[:1000]}
        if BORDER_NUMBER in counts:
            self.thick[BORDER_NUMBER] += thick_pixels(numbers == BORDER_NUMBER)
            self.enclosed[BORDER_NUMBER] += enclosed_pixels(numbers, numbers == BORDER_NUMBER)
            self.one_beside_border |= 1 in counts
        if stored.palette is not None:
            for index, count in counts.items():
                color = tuple(stored.palette[index].tolist()) if index < len(stored.palette) else None
                self.indices[index][color] += count
        else:
            target = self.numbers if stored.stretch == 1 else self.few_bits[stored.stretch]
            target.update(counts)
            if stored.stretch == 1 and len(used) <= _MOST_MIXED and self.pixels <= _MOST_PIXELS_OF_THIN:
                self.thin_numbers.add(places_of(np.searchsorted(np.array(used), numbers), used))


def is_grey(colors: Iterable[Color]) -> bool:
    """Whether all colours are levels of grey."""
    return all(len(set(color)) == 1 for color in colors)


def survey_masks(files: Sequence[Path], *, every_page: bool = False) -> MaskSurvey:
    """Read masks; those that cannot be read are counted.

    Args:
        files: The files.
        every_page: Whether each page of files of several is a mask, counted as one; such files are refused otherwise.
    """
    masks = [(file, page) for file in files for page in _pages(file, every=every_page)]
    found = MaskSurvey(len(masks))
    step = max(1, -(-len(masks) // _MOST_FILES))
    for index, (file, page) in enumerate(_spread(masks[::step])):
        if index and found.pixels > _MOST_PIXELS:
            break
        try:
            with reading_page(page):
                found.add(read_stored(file))
        except DataError as error:
            found.unreadable += 1
            found.problem = found.problem or str(error)
    return found


def _pages(file: Path, *, every: bool) -> Sequence[int | None]:
    try:
        return range(page_count(file)) if every else [None]
    except DataError:  # which reading it tells
        return [None]


def _spread(masks: Sequence[Mask]) -> list[Mask]:
    """Return masks in an order of which every beginning is spread over all of them."""
    return [mask for start in range(16) for mask in masks[_reversed_bits(start) :: 16]]


def _reversed_bits(number: int) -> int:
    return int(f"{number:04b}"[::-1], 2)
