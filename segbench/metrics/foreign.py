"""Metrics from elsewhere: functions of a confusion matrix, held to what a metric has to answer."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segbench.import_path import ForeignPartError, call_part, import_attribute, naming_part

FloatArray = NDArray[np.float64]


class Value(NamedTuple):
    """What a metric says of one confusion matrix.

    Attributes:
        mean: Its number: of one by class, the mean over the classes for which it is no NaN.
        by_class: (C,) its number for each class; None for a metric of the whole.
    """

    mean: float
    by_class: FloatArray | None


class Metric:
    """A function of confusion matrices.

    Args:
        name: Its name, for messages.
        function: Maps a (C, C) int64 matrix, rows = label, columns = prediction, to a number or to one for each class.
    """

    def __init__(self, name: str, function: Callable[[NDArray[np.int64]], Any]) -> None:
        self.name, self.function = name, function

    def __call__(self, matrix: NDArray[np.int64]) -> Value:
        """Return what it says of a matrix.

        Raises:
            ForeignPartError: It raised something, or returned neither a number nor one for each class.
        """
        with naming_part(self.name, f"failed on a matrix of shape {matrix.shape}"), np.errstate(all="ignore"):
            found = np.asarray(self.function(matrix.copy()), dtype=np.float64)
        if found.ndim == 0:
            return Value(float(found), None)
        if found.shape != matrix.shape[:1]:
            raise ForeignPartError(
                f"{self.name} returned an array of shape {found.shape}; a number is expected, or an array of "
                f"{len(matrix)}, one for each class"
            )
        defined = found[~np.isnan(found)]
        return Value(float(defined.mean()) if defined.size else float("nan"), found)


def python_metric(*, target: str, **options: Any) -> Metric:
    """Any metric that an import path names, such as python:package.module.my_metric.

    A class is called once with the options and makes the metric; a function is the metric. It is called with a
    confusion matrix, (C, C) int64, rows = label, columns = prediction, void left out, and returns one number, or an
    array of one for each class, NaN where it is not defined.

    Args:
        target: ``package.module.attribute`` of a class or function.
        **options: Passed on.

    Raises:
        UsageError: There is no such module or attribute, or it cannot be called like this.
    """
    name = f"python:{target}"
    found = import_attribute(name, target)
    if inspect.isclass(found):
        return as_metric(name, call_part(name, found, **options))
    return Metric(name, partial(found, **options))


def as_metric(name: str, made: Any) -> Metric:
    """Return what a metric's factory made.

    Raises:
        ForeignPartError: It is nothing that can be called.
    """
    if isinstance(made, Metric):
        return made
    if not callable(made):
        raise ForeignPartError(f"{name} is a {type(made).__name__}; something called with a matrix is expected")
    return Metric(name, made)
