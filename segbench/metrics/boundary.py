"""Boundary F1 and boundary IoU, computed from per-image pixel counts."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segbench.errors import DataError

CONTOUR_TOLERANCE = 0.0075
"""Tolerance for matching contour pixels, as a fraction of the image diagonal (SegNet, section 4.1)."""
BAND_WIDTH = 0.02
"""Width of the band along contours, as a fraction of the image diagonal (boundary IoU, section 4)."""

_WORD_BITS = 64
_VOID = 255

ClassMap = NDArray[np.uint8]
Mask = NDArray[np.bool_]


class BoundaryCounts(NamedTuple):
    """Pixel counts by class, (..., C) int64 each, for one image or several.

    Attributes:
        predicted: Pixels on predicted contours.
        predicted_near: Predicted contour pixels with a labelled contour pixel of the same class within the tolerance.
        labelled: Pixels on labelled contours.
        labelled_near: Labelled contour pixels with a predicted contour pixel of the same class within the tolerance.
        band_both: Pixels that lie in the band of the label and in the band of the prediction, with the same class in
            both.
        band_either: Pixels that lie in the band of the label, of the prediction, or of both.
    """

    predicted: NDArray[np.int64]
    predicted_near: NDArray[np.int64]
    labelled: NDArray[np.int64]
    labelled_near: NDArray[np.int64]
    band_both: NDArray[np.int64]
    band_either: NDArray[np.int64]


def boundary_counts(label: ClassMap, prediction: ClassMap, *, num_classes: int) -> BoundaryCounts:
    """Count the contour and band pixels of one image.

    A contour pixel has a 4-neighbour of another class. A band pixel lies inside its class, at most ``BAND_WIDTH`` rows
    and columns from the class's edge.

    Void pixels are removed from the prediction too. Narrow strips of void (less than twice the tolerance wide, as
    PASCAL VOC draws around every object) count as a contour between the classes on either side. The edge of a larger
    void area is no contour. The image border is no contour, but it does limit the bands, as in the published code of
    boundary IoU.

    Args:
        label: (H, W) uint8 class indices, 255 for void.
        prediction: (H, W) uint8 class indices.
        num_classes: The number of classes C, at most 255.

    Returns:
        Counts of shape (C,) each.

    Raises:
        DataError: The shapes differ.
    """
    if label.shape != prediction.shape or label.ndim != 2:
        raise DataError(f"the label has shape {label.shape}, the prediction {prediction.shape}; expected one (H, W)")
    diagonal = math.hypot(*label.shape)
    void = label == _VOID
    predicted = np.where(void, np.uint8(_VOID), prediction)
    tolerance, width = CONTOUR_TOLERANCE * diagonal, max(1, round(BAND_WIDTH * diagonal))
    contours = [_contour(classes, void, reach=math.ceil(2 * tolerance)) for classes in (predicted, label)]
    near = _near(predicted, label, contours, tolerance=tolerance, num_classes=num_classes)
    bands = [_band(classes, width) & ~void for classes in (predicted, label)]

    def counted(classes: ClassMap, where: Mask) -> NDArray[np.int64]:
        return np.bincount(classes[where], minlength=num_classes)[:num_classes].astype(np.int64)

    both = counted(label, bands[0] & bands[1] & (predicted == label))
    return BoundaryCounts(
        predicted=counted(predicted, contours[0]),
        predicted_near=counted(predicted, near[0]),
        labelled=counted(label, contours[1]),
        labelled_near=counted(label, near[1]),
        band_both=both,
        band_either=counted(predicted, bands[0]) + counted(label, bands[1]) - both,
    )


def boundary_f1(counts: BoundaryCounts) -> float:
    """Return the boundary F1 score of (N, C) counts, in [0, 1]; NaN without any labelled contour.

    F1 of contour precision and recall is computed for each class that has a contour in the image's label. It is
    averaged over these classes, then over images (G. Csurka et al., "What is a good evaluation measure for semantic
    segmentation?", BMVC 2013; V. Badrinarayanan, A. Kendall, R. Cipolla, "SegNet", PAMI 2017, section 4.1).
    """
    precision = _ratio(counts.predicted_near, counts.predicted)
    recall = _ratio(counts.labelled_near, counts.labelled)
    both = precision + recall
    f1 = np.divide(2 * precision * recall, both, out=np.zeros_like(both), where=both > 0)
    known = counts.labelled > 0
    classes = known.sum(axis=-1)
    if not classes.any():
        return math.nan
    by_image = np.where(known, f1, 0).sum(axis=-1)[classes > 0] / classes[classes > 0]
    return float(by_image.mean())


def boundary_iou(counts: BoundaryCounts) -> float:
    """Return the mean boundary IoU of (N, C) counts over all classes with a band, in [0, 1]; NaN if there is none.

    Counts are summed over all images before the mean over classes is taken, as for mean IoU. The band is that of B.
    Cheng et al., "Boundary IoU: Improving object-centric image segmentation evaluation", CVPR 2021.
    """
    both, either = counts.band_both.sum(axis=0), counts.band_either.sum(axis=0)
    return float((both[either > 0] / either[either > 0]).mean()) if either.any() else math.nan


def _contour(classes: ClassMap, void: Mask, *, reach: int) -> Mask:
    """Return the mask of contour pixels."""
    found = np.zeros(classes.shape, dtype=bool)
    across, down = classes[:, 1:] != classes[:, :-1], classes[1:] != classes[:-1]
    found[:, 1:] |= across
    found[:, :-1] |= across
    found[1:] |= down
    found[:-1] |= down
    found &= ~void
    return found & _mixed(classes, reach) if void.any() else found


def _band(classes: ClassMap, width: int) -> Mask:
    """Return the mask of pixels that lie within a given width of the edge of their class."""
    found = _mixed(classes, width)
    for edge in (found[:width], found[-width:], found[:, :width], found[:, -width:]):
        edge[...] = True
    return found


def _mixed(classes: ClassMap, reach: int) -> Mask:
    """Return the mask of pixels with more than one class within ``reach`` rows and columns; void is no class."""
    lowest, highest = classes, np.where(classes == _VOID, np.uint8(0), classes + np.uint8(1))
    for _ in range(2):  # along the rows, transposed, and along the columns, transposed back
        lowest = _over_window(lowest, np.minimum, reach).T
        highest = _over_window(highest, np.maximum, reach).T
    mixed: Mask = (highest > 0) & (lowest != highest - 1)
    return mixed


def _over_window(values: ClassMap, combine: np.ufunc, reach: int) -> ClassMap:
    """Combine each value with those up to ``reach`` columns before and after it, by windows that double in width."""
    result = values
    covered = 0  # columns covered on either side
    while covered < reach:
        step = min(covered + 1, reach - covered) if covered else 1
        grown = result.copy()
        if step < values.shape[1]:
            combine(grown[:, step:], result[:, :-step], out=grown[:, step:])
            combine(grown[:, :-step], result[:, step:], out=grown[:, :-step])
        result = grown
        covered += step
    return result


def _near(
    predicted: ClassMap, label: ClassMap, contours: list[Mask], *, tolerance: float, num_classes: int
) -> tuple[Mask, Mask]:
    """Return the masks of predicted and of labelled contour pixels that are matched within the tolerance."""
    found = np.zeros(label.shape, dtype=bool), np.zeros(label.shape, dtype=bool)
    for first in range(0, num_classes, _WORD_BITS):
        words = [
            _class_bits(classes, contour, first=first, number=min(_WORD_BITS, num_classes - first))
            for classes, contour in zip((predicted, label), contours, strict=True)
        ]
        for side in (0, 1):
            found[side][...] |= (words[side] & _grown(words[1 - side], tolerance)) != 0
    return found


def _class_bits(classes: ClassMap, contour: Mask, *, first: int, number: int) -> NDArray[Any]:
    """Return a bit mask for each pixel: the bit of its class is set if it lies on a contour."""
    word = next(dtype for dtype in (np.uint8, np.uint16, np.uint32, np.uint64) if np.iinfo(dtype).bits >= number)
    bits = np.zeros(_VOID + 1, dtype=word)
    bits[first : first + number] = np.left_shift(word(1), np.arange(number, dtype=word), dtype=word)
    return np.where(contour, bits[classes], word(0))


def _grown(words: NDArray[Any], radius: float) -> NDArray[Any]:
    """Dilate by a disc, all classes at once: combine the bit masks of all pixels within the distance."""
    grown, result = words.copy(), np.zeros_like(words)
    half_width = 0
    for row in range(int(radius), -1, -1):  # the disc only gets wider from its top to its middle
        while half_width < int(math.sqrt(radius**2 - row**2)):
            half_width += 1
            if half_width < words.shape[1]:
                grown[:, half_width:] |= words[:, :-half_width]
                grown[:, :-half_width] |= words[:, half_width:]
        if row < words.shape[0]:
            result[row:] |= grown[: len(words) - row]
            result[: len(words) - row] |= grown[row:]
    return result


def _ratio(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return part / whole, 0 where the whole is 0."""
    ratio: NDArray[np.float64] = np.divide(part, whole, out=np.zeros(whole.shape), where=whole > 0)
    return ratio
