"""Counts how often each label met each prediction: one confusion matrix from one image."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from segbench.errors import DataError

_VALUES = 256
"""Values of a uint8."""
_SHOWN = 5
"""Wrong values named in an error; the others are only counted."""

IntegerArray = NDArray[Any]
Confusion = NDArray[np.int64]


def confusion_matrix(
    label: IntegerArray,
    prediction: IntegerArray,
    *,
    num_classes: int,
    ignore_index: int | None = 255,
    name: str | None = None,
) -> Confusion:
    """Count labels against predictions.

    Void pixels, those whose label is ``ignore_index``, are masked from both sides: what was predicted there is never
    looked at. Everywhere else both values have to be classes; a wrong value is an error, never a silent count. Two
    uint8 arrays take the fast way, one bincount of the joint value; any other integer types are counted alike, slower.

    Args:
        label: Integer array of any shape, such as (H, W).
        prediction: Integer array of the same shape.
        num_classes: The number of classes C.
        ignore_index: The label that counts nowhere, also when it lies within [0, C); None if every pixel counts.
        name: What the arrays were read from, for messages.

    Returns:
        (C, C) int64, rows = label, columns = prediction.

    Raises:
        DataError: The shapes differ, an array is not of integers, or a value lies outside [0, C).
    """
    label, prediction = np.asarray(label), np.asarray(prediction)
    _check_arrays(label, prediction, num_classes=num_classes, name=name)
    if label.dtype == prediction.dtype == np.uint8 and num_classes <= _VALUES:
        counts = _joint_counts(label, prediction)
        if ignore_index is not None and 0 <= ignore_index < _VALUES:
            counts[ignore_index] = 0
        if counts.sum() == counts[:num_classes, :num_classes].sum():
            return counts[:num_classes, :num_classes].copy()
    labels, predictions = _labelled(label, prediction, ignore_index)
    _check_range("label", labels, num_classes=num_classes, ignore_index=ignore_index, name=name)
    _check_range("prediction", predictions, num_classes=num_classes, ignore_index=None, name=name)
    joint = labels.astype(np.int64) * num_classes + predictions.astype(np.int64)
    counts = np.bincount(joint, minlength=num_classes**2).reshape(num_classes, num_classes)
    return counts.astype(np.int64, copy=False)


def _joint_counts(label: NDArray[np.uint8], prediction: NDArray[np.uint8]) -> Confusion:
    """Return (256, 256) counts of every pair of values, from one bincount of label x 256 + prediction."""
    joint = label.astype(np.uint16)
    joint <<= 8
    joint |= prediction
    counts = np.bincount(joint.ravel(), minlength=_VALUES**2)
    return counts.reshape(_VALUES, _VALUES).astype(np.int64, copy=False)


def _labelled(
    label: IntegerArray, prediction: IntegerArray, ignore_index: int | None
) -> tuple[IntegerArray, IntegerArray]:
    """Return both arrays flat, without the void pixels."""
    if ignore_index is None:
        return label.ravel(), prediction.ravel()
    keep = label != ignore_index
    return label[keep], prediction[keep]


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
