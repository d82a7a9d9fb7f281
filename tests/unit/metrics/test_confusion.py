"""Claims about counting, held against scikit-learn, torchmetrics and a hand-worked image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle
from torchmetrics.classification import MulticlassConfusionMatrix

from segbench.errors import DataError
from segbench.metrics.confusion import confusion_matrix

VOID = 255


def random_pair(seed: int, classes: int, shape: tuple[int, ...], void: float = 0.1, dtype: type = np.uint8):
    generator = np.random.default_rng(seed)
    label = generator.integers(0, classes, shape).astype(dtype)
    prediction = generator.integers(0, classes, shape).astype(dtype)
    label[generator.random(shape) < void] = VOID
    return label, prediction


def adversarial_pairs():
    label, prediction = random_pair(0, 3, (16, 16))
    label[label == 1] = 0
    yield "class never labelled", 21, label, prediction
    label, prediction = random_pair(1, 5, (16, 16))
    prediction[:] = 4
    yield "one class predicted", 5, label, prediction
    yield "all void", 4, np.full((7, 5), VOID, np.uint8), random_pair(2, 4, (7, 5))[1]
    yield "one pixel", 2, np.array([[1]], np.uint8), np.array([[0]], np.uint8)
    yield "150 classes", 150, *random_pair(3, 150, (64, 48))
    yield "two classes", 2, *random_pair(4, 2, (9, 9), void=0.9)
    yield "255 classes", 255, *random_pair(5, 255, (100, 100))


CASES = list(adversarial_pairs())


def test_a_hand_worked_image_is_counted_by_hand():
    label = np.array([[0, 0, 1], [1, 2, VOID]], np.uint8)
    prediction = np.array([[0, 1, 1], [1, 0, 2]], np.uint8)
    expected = [[1, 1, 0], [0, 2, 0], [1, 0, 0]]
    counted = confusion_matrix(label, prediction, num_classes=3)
    assert counted.tolist() == expected
    assert counted.dtype == np.int64


@pytest.mark.parametrize(("case", "classes", "label", "prediction"), CASES, ids=[case[0] for case in CASES])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64])
def test_counts_agree_with_scikit_learn_and_torchmetrics(case, classes, label, prediction, dtype):
    counted = confusion_matrix(label.astype(dtype), prediction.astype(dtype), num_classes=classes)
    kept = label != VOID
    if kept.any():
        by_sklearn = oracle.confusion_matrix(label[kept], prediction[kept], labels=range(classes))
        np.testing.assert_array_equal(counted, by_sklearn)
    metric = MulticlassConfusionMatrix(num_classes=classes, ignore_index=VOID)
    by_torchmetrics = metric(torch.from_numpy(prediction).long(), torch.from_numpy(label).long())
    np.testing.assert_array_equal(counted, by_torchmetrics.numpy())


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    classes=st.integers(1, 255),
    height=st.integers(0, 9),
    width=st.integers(1, 9),
    void=st.floats(0, 1),
)
def test_the_fast_and_the_general_way_agree(seed, classes, height, width, void):
    label, prediction = random_pair(seed, classes, (height, width), void)
    fast = confusion_matrix(label, prediction, num_classes=classes)
    general = confusion_matrix(label.astype(np.int32), prediction.astype(np.uint16), num_classes=classes)
    np.testing.assert_array_equal(fast, general)
    assert fast.sum() == (label != VOID).sum()


def test_more_than_255_classes_are_counted_in_wider_types():
    label, prediction = random_pair(7, 1000, (50, 50), void=0.0, dtype=np.uint16)
    label[0, 0] = 65535
    counted = confusion_matrix(label, prediction, num_classes=1000, ignore_index=65535)
    kept = label != 65535
    np.testing.assert_array_equal(counted, oracle.confusion_matrix(label[kept], prediction[kept], labels=range(1000)))


@pytest.mark.parametrize("dtype", [np.uint8, np.int32])
def test_an_ignored_class_within_range_counts_nowhere_as_a_label(dtype):
    label, prediction = np.array([0, 1, 2], dtype), np.array([0, 0, 2], dtype)
    counted = confusion_matrix(label, prediction, num_classes=3, ignore_index=0)
    assert counted.tolist() == [[0, 0, 0], [1, 0, 0], [0, 0, 1]]


@pytest.mark.parametrize("dtype", [np.uint8, np.int16])
def test_256_classes_can_be_counted_when_nothing_is_ignored(dtype):
    values = np.arange(256, dtype=dtype)
    counted = confusion_matrix(values, values, num_classes=256, ignore_index=None)
    np.testing.assert_array_equal(counted, np.eye(256, dtype=np.int64))


@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_what_is_predicted_on_void_is_never_looked_at(dtype):
    label = np.array([[VOID, 1]], dtype)
    assert confusion_matrix(label, np.array([[200, 1]], dtype), num_classes=2).tolist() == [[0, 0], [0, 1]]


@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_a_label_out_of_range_is_named_with_its_file_and_value(dtype):
    label, prediction = np.array([[30, 30, 254, 0]], dtype), np.zeros((1, 4), dtype)
    with pytest.raises(DataError, match=r"^a/b\.png: label values outside 0\.\.20 and not the ignored 255: 30, 254"):
        confusion_matrix(label, prediction, num_classes=21, name="a/b.png")


@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_a_prediction_out_of_range_is_named_with_its_value(dtype):
    label, prediction = np.zeros((1, 3), dtype), np.array([[2, 1, 255]], dtype)
    with pytest.raises(DataError, match=r"^prediction values outside 0\.\.1: 2, 255 \(2 pixels\)"):
        confusion_matrix(label, prediction, num_classes=2)


def test_negative_and_many_wrong_values_are_errors_too():
    with pytest.raises(DataError, match=r"-9, -8, -7, -6, -5 and 4 more \(9 pixels\)"):
        confusion_matrix(np.arange(-9, 0), np.zeros(9, np.int64), num_classes=2)


@pytest.mark.parametrize(
    ("label", "prediction", "classes", "message"),
    [
        (np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8), 2, "resize the prediction"),
        (np.zeros((2, 3), np.float32), np.zeros((2, 3), np.uint8), 2, "label holds float32"),
        (np.zeros((2, 3), np.uint8), np.zeros((2, 3), bool), 2, "prediction holds bool"),
        (np.zeros((2, 3), np.uint8), np.zeros((2, 3), np.uint8), 0, "num_classes is 0"),
    ],
)
def test_arrays_that_cannot_be_compared_are_refused(label, prediction, classes, message):
    with pytest.raises(DataError, match=message):
        confusion_matrix(label, prediction, num_classes=classes)


def test_the_arrays_are_left_as_they_were():
    label, prediction = random_pair(8, 4, (6, 6))
    before = label.copy(), prediction.copy()
    confusion_matrix(label, prediction, num_classes=4)
    np.testing.assert_array_equal(label, before[0])
    np.testing.assert_array_equal(prediction, before[1])


def test_views_with_strides_are_counted_like_copies():
    label, prediction = random_pair(9, 4, (8, 8))
    np.testing.assert_array_equal(
        confusion_matrix(label[::2, ::-1], prediction.T[::2], num_classes=4),
        confusion_matrix(label[::2, ::-1].copy(), prediction.T[::2].copy(), num_classes=4),
    )
