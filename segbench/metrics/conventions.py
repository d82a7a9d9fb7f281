"""Scores confusion matrices by the conventions of other tools, to explain differing numbers.

Every convention gets the confusion matrix (without void) and the void row of each image, counted at label resolution.
Steps before counting cannot be reproduced from matrices: torchvision's references resize labels, for example, and
nnU-Net reads saved masks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from segbench.errors import UnknownNameError
from segbench.metrics.resampling import counts_by_image
from segbench.metrics.scores import ClassCounts, score

FloatArray = NDArray[np.float64]
CountArray = NDArray[np.int64]

VOID_AS_ERROR = "void-as-error"
"""The name of the convention that needs the void row."""


class ConventionScores(NamedTuple):
    """The scores that a tool would print, as fractions; NaN where it prints NaN.

    A score is None if the tool does not print it, or if it needs a void row that is not known.

    Attributes:
        mean_iou: The tool's mean IoU, IoU score or the like.
        accuracy: Its accuracy over all pixels.
        mean_accuracy: Its mean or class accuracy.
    """

    mean_iou: float | None
    accuracy: float | None = None
    mean_accuracy: float | None = None


@dataclass(frozen=True)
class Convention:
    """One tool's convention for scoring.

    Attributes:
        title: The tool and, if it has several conventions, which one.
        rule: How it treats absent classes and what it averages over.
        score: Maps (N, C, C) matrices and the (N, C) void row (None if not known) to scores.
    """

    title: str
    rule: str
    score: Callable[[CountArray, CountArray | None], ConventionScores]


def convention(name: str) -> Convention:
    """Return a convention by name.

    Raises:
        UnknownNameError: There is no convention of this name.
    """
    if name not in CONVENTIONS:
        raise UnknownNameError("convention", name, CONVENTIONS)
    return CONVENTIONS[name]


def _segbench(matrices: CountArray, _void: CountArray | None = None) -> ConventionScores:
    scores = score(matrices.sum(axis=0))
    return ConventionScores(scores.mean_iou, scores.pixel_accuracy, scores.mean_recall)


def void_as_error(matrices: CountArray, void_predicted: CountArray | None) -> ConventionScores:
    """Score with void pixels counted as false positives of the predicted class.

    Void pixels predicted as a class enlarge its union, so its IoU falls. A class that is predicted on void only has an
    IoU of 0. Accuracy counts void pixels predicted as a class as wrong. Mean recall does not change, since no void
    pixel is labelled as a class.

    Args:
        matrices: (N, C, C) confusion matrices, void left out.
        void_predicted: (N, C) the void row; None if not known, then only mean recall is given.
    """
    counts = _pooled(matrices)
    mean_recall = _nanmean(_divided(counts.hits, counts.labelled))
    if void_predicted is None:
        return ConventionScores(None, None, mean_recall)
    void = void_predicted.sum(axis=0)
    mean_iou = _nanmean(_divided(counts.hits, counts.union + void))
    return ConventionScores(mean_iou, _single(counts.hits.sum(), counts.labelled.sum() + void.sum()), mean_recall)


def _mmsegmentation(matrices: CountArray, _void: CountArray | None = None) -> ConventionScores:
    counts = _pooled(matrices)
    recall, iou = _divided(counts.hits, counts.labelled), _divided(counts.hits, counts.union)
    return ConventionScores(_nanmean(iou), _accuracy(counts), _nanmean(recall))


def _torchvision(matrices: CountArray, _void: CountArray | None = None) -> ConventionScores:
    counts = _pooled(matrices)
    recall, iou = _divided(counts.hits, counts.labelled), _divided(counts.hits, counts.union)
    return ConventionScores(float(iou.mean()), _accuracy(counts), float(recall.mean()))


def _paddleseg(matrices: CountArray, _void: CountArray | None = None) -> ConventionScores:
    counts = _pooled(matrices)
    iou = np.nan_to_num(_divided(counts.hits, counts.union))
    precision = np.nan_to_num(_divided(counts.hits, counts.predicted))
    return ConventionScores(float(iou.mean()), _accuracy(counts), float(precision.mean()))


def _nnunet(matrices: CountArray, _void: CountArray | None = None) -> ConventionScores:
    counts = counts_by_image(matrices)
    by_image = _divided(counts.hits, counts.union)
    foreground = [_nanmean(column) for column in by_image.T[1:]]
    return ConventionScores(float(np.mean(foreground)) if foreground else math.nan)


def _torchmetrics(matrices: CountArray, _void: CountArray | None = None) -> ConventionScores:
    counts = counts_by_image(matrices)
    return ConventionScores(_nanmean(_divided(counts.hits, counts.union)))


def _smp_macro(matrices: CountArray, _void: CountArray | None = None) -> ConventionScores:
    iou, accuracy, recall = _smp_ratios(_pooled(matrices))
    return ConventionScores(float(iou.mean()), float(accuracy.mean()), float(recall.mean()))


def _smp_micro(matrices: CountArray, _void: CountArray | None = None) -> ConventionScores:
    counts = _pooled(matrices)
    hits, labelled, predicted = (part.sum() for part in counts)
    classes = len(counts.hits)
    wrong = (labelled - hits) + (predicted - hits)  # an error counts for two classes
    return ConventionScores(
        _single(hits, hits + wrong), _single(classes * labelled - wrong, classes * labelled), _single(hits, labelled)
    )


def _smp_macro_imagewise(matrices: CountArray, _void: CountArray | None = None) -> ConventionScores:
    iou, accuracy, recall = _smp_ratios(counts_by_image(matrices))
    return ConventionScores(float(iou.mean()), float(accuracy.mean()), float(recall.mean()))


def _smp_micro_imagewise(matrices: CountArray, _void: CountArray | None = None) -> ConventionScores:
    each = np.array([_smp_micro(matrix[None]) for matrix in matrices], dtype=np.float64)
    means = np.nan_to_num(each, nan=1.0).mean(axis=0)
    return ConventionScores(*map(float, means))


def _smp_ratios(counts: ClassCounts) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return IoU, accuracy (including true negatives) and recall of (..., C) counts; 1 where the denominator is 0."""
    pixels = counts.labelled.sum(axis=-1, keepdims=True)
    wrong = counts.labelled + counts.predicted - 2 * counts.hits
    ratios = (
        _divided(counts.hits, counts.union),
        _divided(pixels - wrong, np.broadcast_to(pixels, wrong.shape)),
        _divided(counts.hits, counts.labelled),
    )
    iou, accuracy, recall = (np.nan_to_num(ratio, nan=1.0) for ratio in ratios)
    return iou, accuracy, recall


def _pooled(matrices: NDArray[np.int64]) -> ClassCounts:
    return counts_by_image(matrices).total


def _accuracy(counts: ClassCounts) -> float:
    return _single(counts.hits.sum(), counts.labelled.sum())


def _divided(part: NDArray[np.int64], whole: NDArray[np.int64]) -> FloatArray:
    """Return part / whole, NaN where the whole is 0."""
    ratio: FloatArray = np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)
    return ratio


def _single(part: int, whole: int) -> float:
    return float(part / whole) if whole else math.nan


def _nanmean(values: FloatArray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else math.nan


CONVENTIONS: Mapping[str, Convention] = {
    "segbench": Convention(
        "segbench",
        "one matrix over the data set; classes neither labelled nor predicted are left out of the mean",
        _segbench,
    ),
    VOID_AS_ERROR: Convention(
        "segbench, void as error",
        "as segbench, but void pixels count as false positives of what is predicted there, as in part of the CamVid "
        "literature",
        void_as_error,
    ),
    "mmsegmentation": Convention(
        "mmsegmentation",
        "one matrix over the data set; absent classes are NaN and left out (nanmean); its mAcc is mean recall",
        _mmsegmentation,
    ),
    "hf-evaluate": Convention(
        "Hugging Face evaluate, mean_iou",
        "one matrix over the data set; absent classes are NaN and left out (nanmean); with a real class as its "
        "ignore_index, what is wrongly found on that class's pixels is not counted, so that IoU is too high",
        _mmsegmentation,
    ),
    "torchvision": Convention(
        "torchvision references",
        "one matrix over the data set; one absent class makes the mean NaN; the tool also resizes the labels first",
        _torchvision,
    ),
    "paddleseg": Convention(
        "PaddleSeg",
        "one matrix over the data set; absent classes count as 0; its class accuracy is precision",
        _paddleseg,
    ),
    "nnunet": Convention(
        "nnU-Net",
        "IoU of each image, nanmean over images, then the mean over classes without the first (background)",
        _nnunet,
    ),
    "torchmetrics": Convention(
        "torchmetrics segmentation.MeanIoU",
        "the mean of IoU over all pairs of image and class that occur in label or prediction",
        _torchmetrics,
    ),
    "smp-macro": Convention(
        "smp, reduction macro",
        "counts over the data set, the mean over classes; absent classes count as 1; accuracy counts true negatives",
        _smp_macro,
    ),
    "smp-micro": Convention(
        "smp, reduction micro",
        "all classes' counts added up; accuracy counts true negatives, so that 21 classes make 80 % read 98.1 %",
        _smp_micro,
    ),
    "smp-macro-imagewise": Convention(
        "smp, reduction macro-imagewise",
        "IoU of each image and class, absent classes count as 1, then the mean",
        _smp_macro_imagewise,
    ),
    "smp-micro-imagewise": Convention(
        "smp, reduction micro-imagewise",
        "all classes' counts of an image added up, then the mean over images",
        _smp_micro_imagewise,
    ),
}
"""All conventions by name, in the order of tables."""
