"""Wraps metrics from other packages: calls a function of the confusion matrix and checks what it returns."""

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
    """A metric's value for one confusion matrix.

    Attributes:
        mean: The value itself; for a metric by class, the mean over the classes that are not NaN.
        by_class: (C,) values of the classes; None for a metric with a single value.
    """

    mean: float
    by_class: FloatArray | None


class Metric:
    """A function of confusion matrices.

    Args:
        name: Its name, for messages.
        function: Maps a (C, C) int64 matrix (rows = label, columns = prediction) to one number or to one per class.
    """

    def __init__(self, name: str, function: Callable[[NDArray[np.int64]], Any]) -> None:
        self.name, self.function = name, function

    def __call__(self, matrix: NDArray[np.int64]) -> Value:
        """Return the metric's value for a matrix.

        Raises:
            ForeignPartError: The function raised an error, or returned neither one number nor one per class.
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
    """A metric given by its import path, such as python:package.module.my_metric.

    A function is the metric itself. A class is called once with the options and returns the metric. The metric is
    called with a (C, C) int64 confusion matrix (rows = label, columns = prediction, without void). It returns one
    number or one per class, NaN where undefined.

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
    """Return the metric that a factory made, with its type checked.

    Raises:
        ForeignPartError: The factory's result is not callable.
    """
    if isinstance(made, Metric):
        return made
    if not callable(made):
        raise ForeignPartError(f"{name} is a {type(made).__name__}; something called with a matrix is expected")
    return Metric(name, made)
