"""Metrics from elsewhere answer with a number or with one for each class, or are refused by name."""

import sys

import numpy as np
import pytest

from segbench.errors import UsageError
from segbench.import_path import ForeignPartError
from segbench.registry import METRICS

SOURCE = """
import numpy as np

def kappa(matrix):
    total = matrix.sum()
    chance = (matrix.sum(axis=0) * matrix.sum(axis=1)).sum() / total**2
    return (np.trace(matrix) / total - chance) / (1 - chance)

def recall(matrix, *, power=1):
    return (np.diag(matrix) / matrix.sum(axis=1)) ** power

class Chosen:
    def __init__(self, index): self.index = index
    def __call__(self, matrix): return matrix[self.index, self.index]

def changes(matrix):
    matrix[:] = 0
    return 1.0

def wrong_shape(matrix): return matrix
def text(matrix): return "good"
def raises(matrix): return matrix[99]
number = 3
"""
MATRIX = np.array([[3, 1, 0], [2, 4, 0], [0, 0, 0]])


@pytest.fixture(autouse=True)
def module(tmp_path, monkeypatch):
    (tmp_path / "elsewhere_metrics.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("elsewhere_metrics", None)


def metric(name, **options):
    return METRICS.create(f"python:elsewhere_metrics.{name}", **options)


def test_a_number_is_worked_by_hand():
    found = metric("kappa")(MATRIX)
    assert found.by_class is None
    assert found.mean == pytest.approx((0.7 - 0.5) / 0.5)


def test_one_for_each_class_is_averaged_over_those_that_have_one():
    found = metric("recall")(MATRIX)
    np.testing.assert_allclose(found.by_class, [3 / 4, 4 / 6, np.nan])
    assert found.mean == pytest.approx((3 / 4 + 4 / 6) / 2)
    assert metric("recall", power=2)(MATRIX).by_class[0] == pytest.approx(9 / 16)
    assert np.isnan(metric("recall")(np.zeros((2, 2), np.int64)).mean)


def test_a_class_makes_a_metric_of_its_options():
    assert metric("Chosen", index=1)(MATRIX).mean == 4


def test_no_metric_can_change_the_matrix():
    matrix = MATRIX.copy()
    metric("changes")(matrix)
    assert matrix.tolist() == MATRIX.tolist()


@pytest.mark.parametrize(
    ("name", "options", "problem"),
    [
        ("wrong_shape", {}, r"returned an array of shape \(3, 3\); .* 3, one for each class"),
        ("text", {}, r"failed on a matrix of shape \(3, 3\): ValueError"),
        ("raises", {}, r"IndexError: .*elsewhere_metrics\.py, line \d+"),
        ("kappa", {"power": 2}, "TypeError"),
        ("Chosen", {}, "cannot be made with no options"),
    ],
)
def test_what_is_wrong_with_a_metric_is_told_by_its_name(name, options, problem):
    with pytest.raises(ForeignPartError, match=problem) as caught:
        metric(name, **options)(MATRIX)
    assert f"python:elsewhere_metrics.{name}" in str(caught.value)


def test_what_cannot_be_called_is_no_metric():
    with pytest.raises(UsageError, match="'number' is a int"):
        metric("number")
