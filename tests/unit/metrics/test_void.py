"""Claims about void pixels: worked by hand from two small images, and for any labels and predictions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from segbench.metrics.confusion import count_pixels
from segbench.metrics.conventions import CONVENTIONS, convention
from segbench.metrics.scores import score

V = 255
LABELS = (
    np.array([[0, 0, 0, V], [1, 1, V, V]], np.uint8),
    np.array([[2, 2, 0, V], [2, 1, 1, 1]], np.uint8),
)
PREDICTIONS = (
    np.array([[0, 0, 1, 0], [1, 1, 1, 2]], np.uint8),
    np.array([[2, 0, 0, V], [2, 1, 1, 0]], np.uint8),
)
"""Worked by hand, the classes in order. The first image has three void pixels, predicted as 0, 1 and 2; the second has
one, predicted as void too, which is no class's false positive.

    labelled    4  5  3     (3 2 0 and 1 3 3)
    predicted   5  5  2     on labelled pixels
    right       3  4  2
    union       6  6  3     labelled + predicted - right
    void        1  1  1
"""
MATRICES = np.array([[[2, 1, 0], [0, 2, 0], [0, 0, 0]], [[1, 0, 0], [1, 2, 0], [1, 0, 2]]])
VOID_ROWS = np.array([[1, 1, 1], [0, 0, 0]])


def counted(labels=LABELS, predictions=PREDICTIONS, classes=3, dtype=np.uint8):
    counts = [
        count_pixels(label.astype(dtype), guess.astype(dtype), num_classes=classes)
        for label, guess in zip(labels, predictions, strict=True)
    ]
    return np.stack([one.confusion for one in counts]), np.stack([one.void_predicted for one in counts])


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.uint64])
def test_matrices_and_void_rows_are_those_worked_by_hand(dtype):
    matrices, void = counted(dtype=dtype)
    np.testing.assert_array_equal(matrices, MATRICES)
    np.testing.assert_array_equal(void, VOID_ROWS)
    assert matrices.dtype == void.dtype == np.int64


def test_void_is_left_out_by_default_as_worked_by_hand():
    found = convention("segbench").score(*counted())
    assert found.mean_iou == pytest.approx((3 / 6 + 4 / 6 + 2 / 3) / 3)
    assert found.accuracy == pytest.approx(9 / 12)
    assert found.mean_accuracy == pytest.approx((3 / 4 + 4 / 5 + 2 / 3) / 3)


def test_void_as_error_is_as_worked_by_hand():
    found = convention("void-as-error").score(*counted())
    assert found.mean_iou == pytest.approx((3 / 7 + 4 / 7 + 2 / 4) / 3)
    assert found.accuracy == pytest.approx(9 / 15)  # 12 labelled pixels and 3 void ones predicted as a class
    assert found.mean_accuracy == pytest.approx((3 / 4 + 4 / 5 + 2 / 3) / 3)


def test_no_other_convention_is_changed_by_the_void_row():
    for name, one in CONVENTIONS.items():
        if name != "void-as-error":
            np.testing.assert_array_equal(one.score(MATRICES, VOID_ROWS), one.score(MATRICES, None))


def test_without_a_void_row_the_figure_is_not_known_but_recall_is():
    found = convention("void-as-error").score(MATRICES, None)
    assert found.mean_iou is None
    assert found.accuracy is None
    assert found.mean_accuracy == pytest.approx((3 / 4 + 4 / 5 + 2 / 3) / 3)


def test_a_class_predicted_on_void_alone_has_an_iou_of_0():
    label, guess = np.array([[0, 0, V]], np.uint8), np.array([[0, 0, 1]], np.uint8)
    counts = counted((label,), (guess,), classes=3)
    assert convention("segbench").score(*counts).mean_iou == 1
    assert convention("void-as-error").score(*counts).mean_iou == pytest.approx((1 + 0) / 2)


def test_an_ignored_class_within_the_range_has_a_void_row_too():
    label, guess = np.array([[0, 0, 1, 2]]), np.array([[1, 2, 1, 0]])
    for dtype in (np.uint8, np.int32):
        counts = count_pixels(label.astype(dtype), guess.astype(dtype), num_classes=3, ignore_index=0)
        assert counts.void_predicted.tolist() == [0, 1, 1]
        assert counts.confusion.sum() == 2


worlds = (
    st.integers(0, 2**32 - 1)
    .map(np.random.default_rng)
    .flatmap(lambda generator: st.tuples(st.just(generator), st.integers(1, 3), st.integers(1, 5), st.floats(0, 0.9)))
)


def drawn(world):
    generator, images, classes, void_share = world
    labels = generator.integers(0, classes, (images, 6, 7)).astype(np.uint8)
    labels[generator.random(labels.shape) < void_share] = V
    return labels, generator.integers(0, classes, labels.shape).astype(np.uint8), classes


@settings(max_examples=60, deadline=None)
@given(worlds)
def test_the_void_row_is_a_histogram_of_what_is_predicted_on_void(world):
    labels, guesses, classes = drawn(world)
    matrices, void = counted(labels, guesses, classes)
    for label, guess, matrix, row in zip(labels, guesses, matrices, void, strict=True):
        assert row.tolist() == [int(((label == V) & (guess == index)).sum()) for index in range(classes)]
        assert matrix.sum() + row.sum() == label.size


@settings(max_examples=60, deadline=None)
@given(worlds)
def test_void_as_error_is_never_above_the_default_and_equal_without_void(world):
    labels, guesses, classes = drawn(world)
    assume((labels != V).any())
    matrices, void = counted(labels, guesses, classes)
    default, as_error = (convention(name).score(matrices, void) for name in ("segbench", "void-as-error"))
    assert as_error.mean_iou <= default.mean_iou + 1e-12
    assert as_error.accuracy <= default.accuracy + 1e-12
    assert as_error.mean_accuracy == pytest.approx(default.mean_accuracy)
    without = convention("void-as-error").score(matrices, np.zeros_like(void))
    assert without == pytest.approx(default)


@settings(max_examples=40, deadline=None)
@given(worlds)
def test_what_is_predicted_on_void_adds_nothing_to_the_default_scores(world):
    labels, guesses, classes = drawn(world)
    elsewhere = np.where(labels == V, (guesses + 1) % classes, guesses).astype(np.uint8)
    before, after = (score(counted(labels, given, classes)[0].sum(axis=0)) for given in (guesses, elsewhere))
    assert (before.mean_iou == after.mean_iou) or (math.isnan(before.mean_iou) and math.isnan(after.mean_iou))
    np.testing.assert_array_equal(before.iou, after.iou)
