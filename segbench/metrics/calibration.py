"""Expected calibration error of the softmax, computed from per-image counts."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

BINS = 15
"""Number of confidence bins of equal width, as in the paper."""


class CalibrationCounts(NamedTuple):
    """Labelled pixels binned by confidence, (..., ``BINS``) each, for one image or several.

    Attributes:
        pixels: Number of pixels, int64.
        correct: Number of correctly predicted pixels, int64.
        confidence: Sum of the pixels' confidences, float64.
    """

    pixels: NDArray[np.int64]
    correct: NDArray[np.int64]
    confidence: NDArray[np.float64]


def calibration_counts(
    label: NDArray[np.uint8], prediction: NDArray[np.uint8], confidence: NDArray[Any]
) -> CalibrationCounts:
    """Bin an image's labelled pixels by confidence.

    Args:
        label: (H, W) class indices; 255 is void and not counted.
        prediction: (H, W) class indices.
        confidence: (H, W) softmax probability of the predicted class; NaN, of a network that diverged, is of the first
            bin and makes its sum NaN.
    """
    seen = label != 255
    sure = confidence[seen]
    bins = np.clip(np.nan_to_num(np.ceil(sure * BINS)).astype(np.int64) - 1, 0, BINS - 1)
    right = (label == prediction)[seen]
    return CalibrationCounts(
        pixels=np.bincount(bins, minlength=BINS).astype(np.int64),
        correct=np.bincount(bins[right], minlength=BINS).astype(np.int64),
        confidence=np.bincount(bins, weights=sure, minlength=BINS).astype(np.float64),
    )


def calibration_error(counts: CalibrationCounts) -> float:
    """Return the expected calibration error of (N, ``BINS``) counts, in [0, 1]; NaN without pixels.

    The absolute difference between accuracy and mean confidence of each bin, averaged over bins with their pixels as
    weights (C. Guo, G. Pleiss, Y. Sun, K. Weinberger, "On calibration of modern neural networks", ICML 2017).
    """
    pixels, correct, confidence = (part.sum(axis=0) for part in counts)
    return float(np.abs(correct - confidence).sum() / pixels.sum()) if pixels.any() else math.nan
