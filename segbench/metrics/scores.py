"""Scores of a confusion matrix in the default convention: void is ignored, and means leave out absent classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segbench.errors import DataError

FloatArray = NDArray[np.float64]
CountArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Scores:
    """All scores of one confusion matrix, in [0, 1]; NaN where undefined.

    For class c: TP = matrix[c, c], FN = row sum - TP, FP = column sum - TP. Each mean is taken over the classes whose
    score is defined (its denominator is not 0):

    * IoU and Dice: classes that are labelled or predicted anywhere (TP + FP + FN > 0). A class that is predicted but
      never labelled counts as 0 and is listed in ``predicted_but_unlabelled``.
    * Recall: labelled classes (TP + FN > 0).
    * Precision: predicted classes (TP + FP > 0). A predicted class that is never labelled counts as 0. If a network
      never predicts a class, its recall and IoU fall, its precision does not. So transposing the matrix swaps recall
      and precision.

    Frequency-weighted IoU and pixel accuracy weight classes by their labelled pixels.
    Definitions: Long, Shelhamer, Darrell, "Fully Convolutional Networks", CVPR 2015, section 5.

    Attributes:
        pixel_accuracy: Fraction of labelled pixels that are predicted correctly.
        mean_recall: Mean of ``recall``, the "mean class accuracy" of papers.
        mean_iou: Mean of ``iou``.
        frequency_weighted_iou: Sum of ``iou`` times each class's share of the labelled pixels.
        mean_dice: Mean of ``dice``.
        mean_precision: Mean of ``precision``.
        averaged_classes: Number of classes in the mean IoU and mean Dice.
        precision_classes: Number of classes in the mean precision: those predicted anywhere.
        predicted_but_unlabelled: Classes predicted somewhere and labelled nowhere.
        never_predicted: Classes labelled somewhere and predicted nowhere.
        recall: (C,) TP / (TP + FN).
        precision: (C,) TP / (TP + FP).
        iou: (C,) TP / (TP + FP + FN).
        dice: (C,) 2 TP / (2 TP + FP + FN), the F1 score.
        label_pixels: (C,) int64, labelled pixels of each class.
    """

    pixel_accuracy: float
    mean_recall: float
    mean_iou: float
    frequency_weighted_iou: float
    mean_dice: float
    mean_precision: float
    averaged_classes: int
    precision_classes: int
    predicted_but_unlabelled: tuple[int, ...]
    never_predicted: tuple[int, ...]
    recall: FloatArray
    precision: FloatArray
    iou: FloatArray
    dice: FloatArray
    label_pixels: CountArray


def score(matrix: NDArray[Any], *, left_out: Sequence[int] = ()) -> Scores:
    """Compute all scores of a confusion matrix.

    Args:
        matrix: (C, C) integer counts, rows = label, columns = prediction; sum the matrices of several images first.
        left_out: Classes without scores: they are NaN and left out of all means. Predicting one still counts as an
            error of the labelled class.

    Returns:
        The scores; all NaN if the matrix is empty (every pixel is void).

    Raises:
        DataError: The matrix is not square, or does not hold counts.
    """
    counts = _checked(matrix)
    totals = ClassCounts(np.diag(counts), counts.sum(axis=1), counts.sum(axis=0))
    labelled, predicted = totals.labelled, totals.predicted
    by_class, over_all = class_scores(totals), summary_scores(totals)
    scores = Scores(
        pixel_accuracy=float(over_all.pixel_accuracy),
        mean_recall=float(over_all.mean_recall),
        mean_iou=float(over_all.mean_iou),
        frequency_weighted_iou=float(over_all.frequency_weighted_iou),
        mean_dice=float(over_all.mean_dice),
        mean_precision=float(over_all.mean_precision),
        averaged_classes=int(np.count_nonzero(totals.union)),
        precision_classes=int(np.count_nonzero(predicted)),
        predicted_but_unlabelled=_indices((labelled == 0) & (predicted > 0)),
        never_predicted=_indices((labelled > 0) & (predicted == 0)),
        recall=by_class.recall,
        precision=by_class.precision,
        iou=by_class.iou,
        dice=by_class.dice,
        label_pixels=labelled,
    )
    return _without(scores, list(left_out)) if left_out else scores


class ClassCounts(NamedTuple):
    """Pixel counts by class that all scores are computed from, (..., C) each.

    Attributes:
        hits: Correctly predicted pixels (TP).
        labelled: Labelled pixels (TP + FN).
        predicted: Predicted pixels (TP + FP).
    """

    hits: NDArray[Any]
    labelled: NDArray[Any]
    predicted: NDArray[Any]

    @property
    def union(self) -> NDArray[Any]:
        """Pixels labelled or predicted (TP + FP + FN)."""
        union: NDArray[Any] = self.labelled + self.predicted - self.hits
        return union

    @property
    def total(self) -> ClassCounts:
        """The sum over the first dimension, such as that of images."""
        return ClassCounts(*(part.sum(axis=0) for part in self))


class ClassScores(NamedTuple):
    """Scores of each class, (..., C) each; NaN where undefined. See ``Scores``."""

    recall: FloatArray
    precision: FloatArray
    iou: FloatArray
    dice: FloatArray


class SummaryScores(NamedTuple):
    """Scores over all classes, (...) each; NaN where undefined. See ``Scores``."""

    pixel_accuracy: FloatArray
    mean_recall: FloatArray
    mean_iou: FloatArray
    frequency_weighted_iou: FloatArray
    mean_dice: FloatArray
    mean_precision: FloatArray


def class_scores(counts: ClassCounts) -> ClassScores:
    """Return the scores of each class."""
    hits, labelled, predicted = counts
    return ClassScores(
        recall=_ratio(hits, labelled),
        precision=_ratio(hits, predicted),
        iou=_ratio(hits, counts.union),
        dice=_ratio(2 * hits, labelled + predicted),
    )


def summary_scores(counts: ClassCounts) -> SummaryScores:
    """Return the scores over all classes."""
    scores = class_scores(counts)
    labelled = counts.labelled.sum(axis=-1)
    weighted = np.where(counts.labelled > 0, scores.iou, 0.0) * counts.labelled
    return SummaryScores(
        pixel_accuracy=_ratio(counts.hits.sum(axis=-1), labelled),
        mean_recall=_mean_of_defined(scores.recall),
        mean_iou=_mean_of_defined(scores.iou),
        frequency_weighted_iou=_ratio(weighted.sum(axis=-1), labelled),
        mean_dice=_mean_of_defined(scores.dice),
        mean_precision=_mean_of_defined(scores.precision),
    )


def mean_iou(counts: ClassCounts) -> FloatArray:
    """Return the mean IoU alone, as in ``summary_scores``; a fifth of its time."""
    return _mean_of_defined(_ratio(counts.hits, counts.union))


def _without(scores: Scores, left_out: list[int]) -> Scores:
    """Return the scores with some classes left out of all means."""
    recall, precision, iou, dice = (
        np.array(values) for values in (scores.recall, scores.precision, scores.iou, scores.dice)
    )
    for values in (recall, precision, iou, dice):
        values[left_out] = np.nan
    return replace(
        scores,
        recall=recall,
        precision=precision,
        iou=iou,
        dice=dice,
        mean_recall=float(_mean_of_defined(recall)),
        mean_precision=float(_mean_of_defined(precision)),
        mean_iou=float(_mean_of_defined(iou)),
        mean_dice=float(_mean_of_defined(dice)),
        averaged_classes=int(np.count_nonzero(~np.isnan(iou))),
        precision_classes=int(np.count_nonzero(~np.isnan(precision))),
        predicted_but_unlabelled=tuple(label for label in scores.predicted_but_unlabelled if label not in left_out),
    )


def _indices(chosen: NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(int(index) for index in np.flatnonzero(chosen))


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


def _mean_of_defined(values: FloatArray) -> FloatArray:
    """Return the mean over the last axis without NaN values; NaN if all are NaN."""
    defined = ~np.isnan(values)
    return _ratio(np.where(defined, values, 0.0).sum(axis=-1), defined.sum(axis=-1))
