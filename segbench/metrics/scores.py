"""Scores of a confusion matrix, in the default convention: void left out, absent classes left out of the means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segbench.errors import DataError

FloatArray = NDArray[np.float64]
CountArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Scores:
    """Every score of one confusion matrix, in [0, 1]; NaN where nothing defines it.

    For class c: TP = matrix[c, c], FN = row sum - TP, FP = column sum - TP. Each mean is taken over the classes for
    which its score is defined, that is, whose denominator is not 0:

    * IoU and Dice: classes that are labelled or predicted anywhere (TP + FP + FN > 0). A class that is predicted but
      never labelled counts with 0 and is named in ``predicted_but_unlabelled``.
    * Recall: labelled classes (TP + FN > 0). There is nothing to find of a class that no label holds.
    * Precision: predicted classes (TP + FP > 0), never labelled ones among them, with 0. A network that never predicts
      a class is punished by recall and IoU, not by precision. So recall and precision swap when the matrix is
      transposed.

    Frequency-weighted IoU and pixel accuracy weigh by labelled pixels, so that classes without any add nothing.
    Definitions: Long, Shelhamer, Darrell, "Fully Convolutional Networks", CVPR 2015, section 5.

    Attributes:
        pixel_accuracy: Share of the labelled pixels that are right.
        mean_recall: Mean of ``recall``, the "mean class accuracy" of papers.
        mean_iou: Mean of ``iou``.
        frequency_weighted_iou: Sum of ``iou`` times each class's share of the labelled pixels.
        mean_dice: Mean of ``dice``.
        mean_precision: Mean of ``precision``.
        averaged_classes: How many classes the mean IoU and the mean Dice are taken over.
        predicted_but_unlabelled: Classes predicted somewhere and labelled nowhere.
        recall: (C,) TP / (TP + FN).
        precision: (C,) TP / (TP + FP).
        iou: (C,) TP / (TP + FP + FN).
        dice: (C,) 2 TP / (2 TP + FP + FN), the F1 score.
        label_pixels: (C,) int64, labelled pixels.
    """

    pixel_accuracy: float
    mean_recall: float
    mean_iou: float
    frequency_weighted_iou: float
    mean_dice: float
    mean_precision: float
    averaged_classes: int
    predicted_but_unlabelled: tuple[int, ...]
    recall: FloatArray
    precision: FloatArray
    iou: FloatArray
    dice: FloatArray
    label_pixels: CountArray


def score(matrix: NDArray[Any]) -> Scores:
    """Derive every score from a confusion matrix.

    Args:
        matrix: (C, C) integer counts, rows = label, columns = prediction; sum the matrices of several images first.

    Returns:
        The scores; all NaN, with no class averaged, when the matrix is empty (every pixel void).

    Raises:
        DataError: The matrix is not a square of counts.
    """
    counts = _checked(matrix)
    hits = np.diag(counts)
    labelled, predicted = counts.sum(axis=1), counts.sum(axis=0)
    union = labelled + predicted - hits
    recall, precision = _ratio(hits, labelled), _ratio(hits, predicted)
    iou, dice = _ratio(hits, union), _ratio(2 * hits, labelled + predicted)
    return Scores(
        pixel_accuracy=float(_ratio(hits.sum(), labelled.sum())),
        mean_recall=_mean_of_defined(recall),
        mean_iou=_mean_of_defined(iou),
        frequency_weighted_iou=_frequency_weighted(iou, labelled),
        mean_dice=_mean_of_defined(dice),
        mean_precision=_mean_of_defined(precision),
        averaged_classes=int(np.count_nonzero(union)),
        predicted_but_unlabelled=tuple(int(index) for index in np.flatnonzero((labelled == 0) & (predicted > 0))),
        recall=recall,
        precision=precision,
        iou=iou,
        dice=dice,
        label_pixels=labelled,
    )


def _checked(matrix: NDArray[Any]) -> CountArray:
    counts = np.asarray(matrix)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        raise DataError(f"the confusion matrix has shape {counts.shape}; expected (classes, classes)")
    if not np.issubdtype(counts.dtype, np.integer):
        raise DataError(f"the confusion matrix holds {counts.dtype}; expected integer counts, which lose no pixel")
    if counts.size and counts.min() < 0:
        raise DataError(f"the confusion matrix holds a negative count, {counts.min()}")
    return counts.astype(np.int64)


def _ratio(part: Any, whole: Any) -> FloatArray:
    """Return part / whole in float64, NaN where the whole is 0."""
    part, whole = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
    ratio: FloatArray = np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)
    return ratio


def _mean_of_defined(values: FloatArray) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float("nan")


def _frequency_weighted(iou: FloatArray, labelled: CountArray) -> float:
    present = labelled > 0
    return float(np.average(iou[present], weights=labelled[present])) if present.any() else float("nan")
