"""Counts the confusion matrix and the void row of one image."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segbench.errors import DataError

_VALUES = 256
"""Number of values of a uint8."""
_SHOWN = 5
"""Number of wrong values that an error lists; further ones are only counted."""

IntegerArray = NDArray[Any]
Confusion = NDArray[np.int64]


class PixelCounts(NamedTuple):
    """Pixel counts of one image.

    Attributes:
        confusion: (C, C) int64, rows = label, columns = prediction, void pixels left out.
        void_predicted: (C,) int64, the void row: void pixels by predicted class. Void pixels whose prediction is no
            class (another tool may predict void) are not counted.
    """

    confusion: Confusion
    void_predicted: NDArray[np.int64]


def confusion_matrix(
    label: IntegerArray,
    prediction: IntegerArray,
    *,
    num_classes: int,
    ignore_index: int | None = 255,
    name: str | None = None,
) -> Confusion:
    """Return the confusion matrix of ``count_pixels``, (C, C) int64, without the void row."""
    counts = count_pixels(label, prediction, num_classes=num_classes, ignore_index=ignore_index, name=name)
    return counts.confusion


def count_pixels(
    label: IntegerArray,
    prediction: IntegerArray,
    *,
    num_classes: int,
    ignore_index: int | None = 255,
    name: str | None = None,
) -> PixelCounts:
    """Count labels against predictions.

    Void pixels (label ``ignore_index``) are left out of the matrix. Their predictions are counted in the void row and
    may have any value. Everywhere else label and prediction must be classes; any other value is an error.

    Two uint8 arrays are counted by one bincount of joint values. Other integer types give the same counts, but slower.

    Args:
        label: Integer array of any shape, such as (H, W).
        prediction: Integer array of the same shape.
        num_classes: The number of classes C.
        ignore_index: Label of void pixels; may lie within [0, C). None if every pixel counts.
        name: Source of the arrays, for error messages.

    Raises:
        DataError: The shapes differ, an array is not of integers, or a value lies outside [0, C).
    """
    label, prediction = np.asarray(label), np.asarray(prediction)
    _check_arrays(label, prediction, num_classes=num_classes, name=name)
    if label.dtype == prediction.dtype == np.uint8 and num_classes <= _VALUES:
        counts = _joint_counts(label, prediction)
        void = np.zeros(num_classes, np.int64)
        if ignore_index is not None and 0 <= ignore_index < _VALUES:
            void = counts[ignore_index, :num_classes].copy()
            counts[ignore_index] = 0
        if counts.sum() == counts[:num_classes, :num_classes].sum():
            return PixelCounts(counts[:num_classes, :num_classes].copy(), void)
    labels, predictions, on_void = _parted(label, prediction, ignore_index)
    _check_range("label", labels, num_classes=num_classes, ignore_index=ignore_index, name=name)
    _check_range("prediction", predictions, num_classes=num_classes, ignore_index=None, name=name)
    joint = labels.astype(np.int64) * num_classes + predictions.astype(np.int64)
    counts = np.bincount(joint, minlength=num_classes**2).reshape(num_classes, num_classes)
    of_classes = on_void[(on_void >= 0) & (on_void < num_classes)].astype(np.int64)
    void = np.bincount(of_classes, minlength=num_classes)
    return PixelCounts(counts.astype(np.int64, copy=False), void.astype(np.int64, copy=False))


def _joint_counts(label: NDArray[np.uint8], prediction: NDArray[np.uint8]) -> Confusion:
    """Return the (256, 256) counts of all (label, prediction) pairs by one bincount of label x 256 + prediction."""
    joint = label.astype(np.uint16)
    joint <<= 8
    joint |= prediction
    counts = np.bincount(joint.ravel(), minlength=_VALUES**2)
    return counts.reshape(_VALUES, _VALUES).astype(np.int64, copy=False)


class _Parted(NamedTuple):
    """Flat arrays: labels and predictions of labelled pixels, and predictions of void pixels."""

    labels: IntegerArray
    predictions: IntegerArray
    on_void: IntegerArray


def _parted(label: IntegerArray, prediction: IntegerArray, ignore_index: int | None) -> _Parted:
    if ignore_index is None:
        return _Parted(label.ravel(), prediction.ravel(), prediction.ravel()[:0])
    labelled = label != ignore_index
    return _Parted(label[labelled], prediction[labelled], prediction[~labelled])


def _check_arrays(label: IntegerArray, prediction: IntegerArray, *, num_classes: int, name: str | None) -> None:
    if num_classes < 1:
        raise DataError(f"{_prefix(name)}num_classes is {num_classes}; expected at least 1")
    if label.shape != prediction.shape:
        raise DataError(
            f"{_prefix(name)}the label has shape {label.shape}, the prediction {prediction.shape}; "
            "scores are taken at the label's size, so resize the prediction"
        )
    for what, array in (("label", label), ("prediction", prediction)):
        if not np.issubdtype(array.dtype, np.integer):
            raise DataError(f"{_prefix(name)}the {what} holds {array.dtype}; expected integers, one class per pixel")


def _check_range(
    what: str, values: IntegerArray, *, num_classes: int, ignore_index: int | None, name: str | None
) -> None:
    wrong = values[(values < 0) | (values >= num_classes)]
    if not wrong.size:
        return
    found = np.unique(wrong)
    shown = ", ".join(str(value) for value in found[:_SHOWN])
    more = f" and {found.size - _SHOWN} more" if found.size > _SHOWN else ""
    ignored = f" and not the ignored {ignore_index}" if ignore_index is not None else ""
    raise DataError(
        f"{_prefix(name)}{what} values outside 0..{num_classes - 1}{ignored}: {shown}{more} ({wrong.size} pixels); "
        "check the number of classes, the ignored value, and that the mask holds indices, not colours"
    )


def _prefix(name: str | None) -> str:
    return f"{name}: " if name else ""
