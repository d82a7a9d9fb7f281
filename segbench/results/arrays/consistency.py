"""Checks the further counts of a run's test images against their confusion matrices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segbench.results.arrays.details import BOUNDARY, CALIBRATION, ImageDetails
from segbench.results.arrays.matrices import ImageMatrices

_PARTS_OF = {"predicted_near": "predicted", "labelled_near": "labelled", "band_both": "band_either"}
"""Counts of boundaries that are parts of others."""


def contradiction(details: ImageDetails, matrices: ImageMatrices) -> str | None:
    """Return what in the further counts cannot be true together with the matrices; None if nothing is found.

    Each labelled pixel is in one confidence bin, so that bins add up to the matrix, and its correct pixels to the
    diagonal. What is near a contour is a part of it.
    """
    if details.names != matrices.names:
        return "holds other images than the confusion matrices"
    return _of_calibration(details.part(CALIBRATION), matrices) or _of_boundary(details.part(BOUNDARY), matrices)


def _of_calibration(counts: Mapping[str, NDArray[Any]], matrices: ImageMatrices) -> str | None:
    if not {"pixels", "correct"} <= counts.keys():
        return None
    pixels, correct = counts["pixels"], counts["correct"]
    if pixels.shape != correct.shape or pixels.ndim != 2:
        return f"counts pixels by confidence in shapes {pixels.shape} and {correct.shape}"
    if (correct < 0).any() or (correct > pixels).any():
        return "counts more correct pixels in a bin of confidence than there are, or fewer than none"
    labelled, right = matrices.matrices.sum(axis=(1, 2)), np.trace(matrices.matrices, axis1=1, axis2=2)
    if not (np.array_equal(pixels.sum(axis=1), labelled) and np.array_equal(correct.sum(axis=1), right)):
        return "counts other pixels by confidence than the confusion matrices hold"
    return None


def _of_boundary(counts: Mapping[str, NDArray[Any]], matrices: ImageMatrices) -> str | None:
    expected = (len(matrices.names), matrices.num_classes)
    wrong = next((name for name, array in counts.items() if array.shape != expected), None)
    if wrong is not None:
        return f"counts {wrong} of boundaries in shape {counts[wrong].shape}, not {expected}"
    for part, whole in _PARTS_OF.items():
        if {part, whole} <= counts.keys() and ((counts[part] < 0).any() or (counts[part] > counts[whole]).any()):
            return f"counts more pixels as {part} than as {whole}, or fewer than none"
    return None
