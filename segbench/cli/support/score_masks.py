"""Counts the pixels of masks that ``score`` compares, and checks the ignored pixels."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segbench.cli.terminal.output import counted
from segbench.data.decoding.decoding import SeveralPagesError, page_count
from segbench.data.masks.label_table import UNKNOWN, LabelTable
from segbench.data.masks.label_table import VOID as VOID_LABEL
from segbench.data.masks.masks import ReadMask, read_mask
from segbench.data.masks.void_borders import (
    BORDER_WIDTH,
    between_classes,
    enclosed_pixels,
    only_borders,
    thick_pixels,
)
from segbench.errors import DataError
from segbench.metrics.confusion import PixelCounts, count_pixels

VOID = "void"
ONE_CLASS = "one-class"
PROBLEMS = (VOID, ONE_CLASS)
"""Values of ``--allow``."""
_MANY_LEVELS = 16
"""More invalid values than this look like probabilities."""


@dataclass(frozen=True)
class Counted:
    """Counts of masks.

    Attributes:
        counts: The confusion matrix with its void row.
        pixels: Pixels of the labels.
        ignored: Ignored pixels.
        thick: Ignored pixels further than half of ``BORDER_WIDTH`` from every other pixel.
        enclosed: Ignored pixels with at most one class around them.
    """

    counts: PixelCounts
    pixels: int = 0
    ignored: int = 0
    thick: int = 0
    enclosed: int = 0

    def __add__(self, other: Counted) -> Counted:
        """Add the counts of further masks."""
        mine, theirs = self.counts, other.counts
        both = type(mine)(mine.confusion + theirs.confusion, mine.void_predicted + theirs.void_predicted)
        return Counted(
            both,
            self.pixels + other.pixels,
            self.ignored + other.ignored,
            self.thick + other.thick,
            self.enclosed + other.enclosed,
        )

    @property
    def ignored_share(self) -> float:
        """Share of the label pixels that are ignored."""
        return self.ignored / self.pixels if self.pixels else 0.0


def compare(label: Path, prediction: Path, *, labels: LabelTable, predictions: LabelTable) -> Counted:
    """Compare a label file with its prediction.

    Args:
        label: The label file.
        prediction: The predicted one.
        labels: Meaning of the numbers and colours of labels.
        predictions: Meaning of those of predictions.

    Raises:
        DataError: A file cannot be read, or has a value that is no class; names the file.
    """
    truth, predicted = _read(label, labels), _read(prediction, predictions)
    if truth.labels.shape != predicted.labels.shape:
        (height, width), (tall, wide) = predicted.labels.shape, truth.labels.shape
        raise DataError(
            f"{prediction}: is {height}x{width} pixels (height x width), but its label {label} {tall}x{wide}; scores "
            "are taken at the label's size: resize the predicted classes to it by nearest neighbour"
        )
    if (truth.labels == UNKNOWN).any():
        raise DataError(f"{label}: label values: {truth.strange(truth.labels == UNKNOWN)}")
    void = truth.labels == VOID_LABEL
    wrong = (predicted.labels < 0) & ~void
    if wrong.any():
        raise DataError(
            f"{prediction}: prediction values ({counted(int(wrong.sum()), 'pixel')}): {predicted.strange(wrong)}"
            f"{_hint(predicted, wrong)}"
        )
    kind = np.uint8 if labels.num_classes < 255 else np.int16
    counts = count_pixels(
        truth.labels.astype(kind),
        predicted.labels.astype(kind),
        num_classes=labels.num_classes,
        ignore_index=int(np.array(VOID_LABEL).astype(kind)),
        name=str(prediction),
    )
    ignored, enclosed = int(void.sum()), enclosed_pixels(truth.labels, void)
    return Counted(counts, truth.labels.size, ignored, thick_pixels(void), enclosed)


def refuse_ignored(found: Counted, *, ignored: str, chosen: bool, allowed: Collection[str]) -> None:
    """Refuse scores if ignored pixels may belong to a class.

    Args:
        found: The counts.
        ignored: The ignored numbers, for messages.
        chosen: Whether the user gave them, rather than the default 255.
        allowed: Problems that are allowed.

    Raises:
        DataError: Only one class is left, or the default ignored number fills more than thin borders.
    """
    left = int((found.counts.confusion.sum(axis=1) > 0).sum())
    what = f"the labels' {ignored} fills {found.ignored:,} pixels ({found.ignored_share:.1%}), which count nowhere"
    remedy = "give --values where it is a class, such as --values 0,255"
    if found.ignored and left < 2 <= len(found.counts.confusion) and ONE_CLASS not in allowed:
        classes = "one class" if left else "no class"
        raise DataError(f"{what}, and {classes} is left; {remedy}, or --allow {ONE_CLASS}")
    thick = found.thick / found.ignored if found.ignored else 0.0
    borders = only_borders(pixels=found.pixels, void=found.ignored, thick=found.thick)
    between = between_classes(void=found.ignored, enclosed=found.enclosed)
    if not chosen and borders and not between and VOID not in allowed:
        raise DataError(
            f"{what}; they are thin lines of which {found.enclosed / found.ignored:.0%} lie within one class, as thin "
            f"objects do, and not between two, as void borders do; {remedy}, --ignore-index {ignored} where it is "
            f"void, or --allow {VOID}"
        )
    if not chosen and not borders and VOID not in allowed:
        raise DataError(
            f"{what}; that is more than thin borders ({thick:.0%} of it in places wider than {BORDER_WIDTH} pixels); "
            f"{remedy}, --ignore-index {ignored} where it is void, or --allow {VOID}"
        )


def _read(file: Path, table: LabelTable) -> ReadMask:
    """Read a mask.

    Raises:
        DataError: It cannot be read, or has several pages.
    """
    try:
        return read_mask(file, table)
    except SeveralPagesError:
        raise DataError(
            f"{file}: holds {page_count(file)} pages, but one mask is compared with one; save each page as a file of "
            "its own, with the name of its partner"
        ) from None


def _hint(predicted: ReadMask, wrong: NDArray[np.bool_]) -> str:
    """Return the remedy for predicted values that are no class."""
    if predicted.by_color:
        return ""
    numbers = predicted.stored.numbers
    if numbers is not None and len(np.unique(numbers[wrong])) > _MANY_LEVELS:
        return "; so many values look like probabilities: save the most probable class instead (of two, a threshold)"
    return "; --values gives those of the classes, --prediction-values those of predictions where they are others"
