"""How closely predictions follow contours: boundary F1 and boundary IoU, from counts of single images."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segbench.errors import DataError

CONTOUR_TOLERANCE = 0.0075
"""Share of the image's diagonal within which a contour pixel counts as found (SegNet, section 4.1)."""
BAND_WIDTH = 0.02
"""Share of the image's diagonal that a band along contours is wide (boundary IoU, section 4)."""

_WORD_BITS = 64
_VOID = 255

ClassMap = NDArray[np.uint8]
Mask = NDArray[np.bool_]


class BoundaryCounts(NamedTuple):
    """Pixels by class, (..., C) int64 each; of one image or of several.

    Attributes:
        predicted: Pixels on predicted contours.
        predicted_near: Those of them with a labelled contour pixel of the class within the tolerance.
        labelled: Pixels on labelled contours.
        labelled_near: Those of them with a predicted contour pixel of the class within the tolerance.
        band_both: Pixels in the bands of label and prediction, of one class in both.
        band_either: Pixels in the band of either.
    """

    predicted: NDArray[np.int64]
    predicted_near: NDArray[np.int64]
    labelled: NDArray[np.int64]
    labelled_near: NDArray[np.int64]
    band_both: NDArray[np.int64]
    band_either: NDArray[np.int64]


def boundary_counts(label: ClassMap, prediction: ClassMap, *, num_classes: int) -> BoundaryCounts:
    """Count what boundary scores are made of.

    A contour pixel of a class has a 4-neighbour that is not of it; a band pixel lies inside the class, no further (in
    rows and columns) than ``BAND_WIDTH`` from its end. Void is cut out of the prediction, too, and is looked through:
    strips of void narrower than twice the tolerance, as PASCAL VOC has around every object, count as a contour of what
    lies on either side, while the edge of a large void area is none. The image's edge is no contour, but it ends a
    class for the bands, as in the published code of boundary IoU.

    Args:
        label: (H, W) uint8 class indices, 255 for void.
        prediction: (H, W) uint8 class indices.
        num_classes: The number of classes C, at most 255.

    Returns:
        (C,) each.

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

    The F1 score of precision and recall of contour pixels is taken for each class that has a contour in the image's
    label, averaged over these, then over images (G. Csurka et al., "What is a good evaluation measure for semantic
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
    """Return the mean boundary IoU of (N, C) counts over the classes that have a band, in [0, 1]; NaN without any.

    Counted over all images, then averaged over classes, as the mean IoU is (B. Cheng et al., "Boundary IoU: Improving
    object-centric image segmentation evaluation", CVPR 2021, for the band).
    """
    both, either = counts.band_both.sum(axis=0), counts.band_either.sum(axis=0)
    return float((both[either > 0] / either[either > 0]).mean()) if either.any() else math.nan


def _contour(classes: ClassMap, void: Mask, *, reach: int) -> Mask:
    """Return which pixels are on a contour."""
    found = np.zeros(classes.shape, dtype=bool)
    across, down = classes[:, 1:] != classes[:, :-1], classes[1:] != classes[:-1]
    found[:, 1:] |= across
    found[:, :-1] |= across
    found[1:] |= down
    found[:-1] |= down
    found &= ~void
    return found & _mixed(classes, reach) if void.any() else found


def _band(classes: ClassMap, width: int) -> Mask:
    """Return which pixels lie within a width of the end of their class."""
    found = _mixed(classes, width)
    for edge in (found[:width], found[-width:], found[:, :width], found[:, -width:]):
        edge[...] = True
    return found


def _mixed(classes: ClassMap, reach: int) -> Mask:
    """Return around which pixels, ``reach`` rows and columns far, more than one class lies; void is none."""
    lowest, highest = classes, np.where(classes == _VOID, np.uint8(0), classes + np.uint8(1))
    for _ in range(2):  # along the rows, transposed, and along the columns, transposed back
        lowest = _over_window(lowest, np.minimum, reach).T
        highest = _over_window(highest, np.maximum, reach).T
    mixed: Mask = (highest > 0) & (lowest != highest - 1)
    return mixed


def _over_window(values: ClassMap, combine: np.ufunc, reach: int) -> ClassMap:
    """Combine each value with those up to ``reach`` columns before and after it; windows double until they do."""
    result = values
    covered = 0  # how far to either side
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
    """Return which predicted, and which labelled, contour pixels the other side has one of the same class near."""
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
    """Return a word for each pixel, with the bit of its class set where it is on a contour."""
    word = next(dtype for dtype in (np.uint8, np.uint16, np.uint32, np.uint64) if np.iinfo(dtype).bits >= number)
    bits = np.zeros(_VOID + 1, dtype=word)
    bits[first : first + number] = np.left_shift(word(1), np.arange(number, dtype=word), dtype=word)
    return np.where(contour, bits[classes], word(0))


def _grown(words: NDArray[Any], radius: float) -> NDArray[Any]:
    """Return the union of all words within a distance of each pixel: a dilation by a disc, all classes at once."""
    grown, result = words.copy(), np.zeros_like(words)
    half_width = 0
    for row in range(int(radius), -1, -1):  # from the disc's top to its middle it only gets wider
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
