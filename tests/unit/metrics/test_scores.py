"""Claims about scores, held against scikit-learn, torchmetrics and a hand-worked matrix."""

from __future__ import annotations

import dataclasses
import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics as oracle
from torchmetrics.classification import MulticlassJaccardIndex

from segbench.errors import DataError
from segbench.metrics.confusion import confusion_matrix
from segbench.metrics.scores import ClassCounts, mean_iou, score, summary_scores

VOID = 255
MEANS = ("pixel_accuracy", "mean_recall", "mean_iou", "frequency_weighted_iou", "mean_dice", "mean_precision")
BY_CLASS = ("recall", "precision", "iou", "dice")

matrices = st.integers(1, 7).flatmap(
    lambda classes: arrays(np.int64, (classes, classes), elements=st.sampled_from([0, 0, 0, 1, 2, 17, 10**6]))
)


def pairs():
    """Random and adversarial pairs: absent classes, one pixel, 150 classes, nothing right, one class predicted."""
    generator = np.random.default_rng(11)
    for classes, shape, labelled, predicted in (
        (2, (1, 1), (1,), (0,)),
        (2, (1, 1), (1,), (1,)),
        (5, (40, 30), range(5), range(5)),
        (11, (20, 20), range(0, 11, 2), range(0, 11, 3)),
        (6, (15, 15), (0, 1, 2), (3, 4)),
        (6, (15, 15), range(6), (2,)),
        (150, (60, 80), range(150), range(150)),
        (150, (5, 5), range(150), range(150)),
    ):
        label = generator.choice(np.array(labelled, np.uint8), shape)
        prediction = generator.choice(np.array(predicted, np.uint8), shape)
        if label.size > 1:
            label[generator.random(shape) < 0.2] = VOID
        yield classes, label, prediction


PAIRS = list(pairs())


def test_a_hand_worked_matrix_scores_as_worked_by_hand():
    # Class 0: TP 6, FN 2, FP 1. Class 1: TP 0, FN 1, FP 1. Class 2: never labelled, FP 1. Class 3: absent.
    scores = score(np.array([[6, 1, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]))
    nan = math.nan
    np.testing.assert_allclose(scores.recall, [6 / 8, 0, nan, nan])
    np.testing.assert_allclose(scores.precision, [6 / 7, 0, 0, nan])
    np.testing.assert_allclose(scores.iou, [6 / 9, 0, 0, nan])
    np.testing.assert_allclose(scores.dice, [12 / 15, 0, 0, nan])
    assert scores.label_pixels.tolist() == [8, 1, 0, 0]
    assert scores.pixel_accuracy == pytest.approx(6 / 9)
    assert scores.mean_recall == pytest.approx((6 / 8) / 2)
    assert scores.mean_precision == pytest.approx((6 / 7) / 3)
    assert scores.mean_iou == pytest.approx((6 / 9) / 3)
    assert scores.mean_dice == pytest.approx((12 / 15) / 3)
    assert scores.frequency_weighted_iou == pytest.approx((8 / 9) * (6 / 9))
    assert scores.averaged_classes == 3
    assert scores.predicted_but_unlabelled == (2,)


@pytest.mark.parametrize(("classes", "label", "prediction"), PAIRS)
def test_scores_agree_with_scikit_learn_to_1e_12(classes, label, prediction):
    scores = score(confusion_matrix(label, prediction, num_classes=classes))
    kept = label != VOID
    truth, guess = label[kept], prediction[kept]
    union, labelled, predicted = np.union1d(truth, guess), np.unique(truth), np.unique(guess)

    def macro(function, names):
        return function(truth, guess, labels=names, average="macro", zero_division=0)

    expected = {
        "pixel_accuracy": oracle.accuracy_score(truth, guess),
        "mean_recall": macro(oracle.recall_score, labelled),
        "mean_precision": macro(oracle.precision_score, predicted),
        "mean_iou": macro(oracle.jaccard_score, union),
        "mean_dice": macro(oracle.f1_score, union),
        "frequency_weighted_iou": oracle.jaccard_score(truth, guess, labels=labelled, average="weighted"),
    }
    for name, value in expected.items():
        assert getattr(scores, name) == pytest.approx(value, abs=1e-12), name
    assert scores.averaged_classes == len(union)
    assert scores.predicted_but_unlabelled == tuple(np.setdiff1d(guess, truth))


@pytest.mark.parametrize(("classes", "label", "prediction"), PAIRS)
def test_scores_of_each_class_agree_with_scikit_learn_to_1e_12(classes, label, prediction):
    scores = score(confusion_matrix(label, prediction, num_classes=classes))
    kept = label != VOID
    arguments = (label[kept], prediction[kept])
    functions = (oracle.recall_score, oracle.precision_score, oracle.jaccard_score, oracle.f1_score)
    for name, function in zip(BY_CLASS, functions, strict=True):
        ours = getattr(scores, name)
        theirs = function(*arguments, labels=range(classes), average=None, zero_division=0)
        defined = ~np.isnan(ours)
        np.testing.assert_allclose(ours[defined], theirs[defined], rtol=0, atol=1e-12, err_msg=name)
        assert (theirs[~defined] == 0).all()


@pytest.mark.parametrize(("classes", "label", "prediction"), PAIRS)
def test_mean_iou_agrees_with_torchmetrics_within_its_float32(classes, label, prediction):
    scores = score(confusion_matrix(label, prediction, num_classes=classes))
    metric = MulticlassJaccardIndex(num_classes=classes, average="macro", ignore_index=VOID)
    theirs = metric(torch.from_numpy(prediction).long(), torch.from_numpy(label).long())
    assert scores.mean_iou == pytest.approx(float(theirs), abs=1e-6)


def test_the_mean_iou_alone_is_that_among_all_scores():
    counts = ClassCounts(*np.random.default_rng(0).integers(0, 5, (3, 40, 6)))
    np.testing.assert_array_equal(mean_iou(counts), summary_scores(counts).mean_iou, strict=True)


def test_an_all_void_image_scores_nan_and_averages_no_class():
    scores = score(confusion_matrix(np.full((4, 4), VOID, np.uint8), np.zeros((4, 4), np.uint8), num_classes=3))
    assert all(math.isnan(getattr(scores, name)) for name in MEANS)
    assert all(np.isnan(getattr(scores, name)).all() for name in BY_CLASS)
    assert scores.averaged_classes == 0
    assert scores.predicted_but_unlabelled == ()


def test_a_class_predicted_but_never_labelled_lowers_mean_iou_and_is_named():
    without, with_it = score(np.array([[9, 0], [0, 0]])), score(np.array([[8, 1], [0, 0]]))
    assert (without.mean_iou, without.averaged_classes, without.predicted_but_unlabelled) == (1.0, 1, ())
    assert with_it.mean_iou == pytest.approx((8 / 9) / 2)
    assert (with_it.averaged_classes, with_it.predicted_but_unlabelled) == (2, (1,))


def test_counts_beyond_float32_lose_no_pixel():
    large = 2**24 + 1
    scores = score(np.array([[large, 1], [0, large]]))
    assert scores.pixel_accuracy == pytest.approx(2 * large / (2 * large + 1), abs=1e-15)
    assert scores.label_pixels.tolist() == [large + 1, large]


@settings(max_examples=80, deadline=None)
@given(matrix=matrices)
def test_every_defined_score_lies_between_0_and_1_and_iou_below_dice(matrix):
    scores = score(matrix)
    for name in BY_CLASS:
        values = getattr(scores, name)
        defined = values[~np.isnan(values)]
        assert ((defined >= 0) & (defined <= 1)).all()
    assert ((scores.iou <= scores.dice) | np.isnan(scores.iou)).all()
    assert matrix.sum() == 0 or scores.mean_iou <= scores.mean_dice
    np.testing.assert_allclose(scores.dice, 2 * scores.iou / (1 + scores.iou), atol=1e-12)


@settings(max_examples=80, deadline=None)
@given(matrix=matrices)
def test_frequency_weighted_iou_lies_between_the_labelled_classes_and_below_accuracy(matrix):
    assume(matrix.sum() > 0)
    scores = score(matrix)
    labelled = scores.iou[scores.label_pixels > 0]
    assert labelled.min() - 1e-12 <= scores.frequency_weighted_iou <= labelled.max() + 1e-12
    assert scores.frequency_weighted_iou <= scores.pixel_accuracy + 1e-12


@settings(max_examples=80, deadline=None)
@given(matrix=matrices, seed=st.integers(0, 2**32))
def test_renumbering_classes_renumbers_scores_and_keeps_means(matrix, seed):
    order = np.random.default_rng(seed).permutation(len(matrix))
    before, after = score(matrix), score(matrix[np.ix_(order, order)])
    for name in BY_CLASS:
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name)[order])
    for name in MEANS:
        assert getattr(after, name) == pytest.approx(getattr(before, name), abs=1e-12, nan_ok=True)


@settings(max_examples=80, deadline=None)
@given(matrix=matrices)
def test_transposing_swaps_recall_and_precision_and_keeps_iou(matrix):
    before, after = score(matrix), score(matrix.T)
    np.testing.assert_array_equal(after.recall, before.precision)
    np.testing.assert_array_equal(after.iou, before.iou)
    assert after.mean_precision == pytest.approx(before.mean_recall, nan_ok=True)
    assert after.mean_dice == pytest.approx(before.mean_dice, nan_ok=True)
    assert after.averaged_classes == before.averaged_classes


@settings(max_examples=50, deadline=None)
@given(counts=st.lists(st.integers(0, 10**9), min_size=1, max_size=6))
def test_a_perfect_prediction_scores_1(counts):
    assume(sum(counts) > 0)
    scores = score(np.diag(counts))
    assert all(getattr(scores, name) == pytest.approx(1.0) for name in MEANS)
    assert scores.averaged_classes == np.count_nonzero(counts)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), classes=st.integers(1, 9))
def test_void_pixels_do_not_change_scores(seed, classes):
    generator = np.random.default_rng(seed)
    label, prediction = generator.integers(0, classes, (2, 6, 6)).astype(np.uint8)
    void = generator.random((6, 6)) < 0.5
    label[void] = VOID
    elsewhere = np.where(void, generator.integers(0, 256, (6, 6)), prediction).astype(np.uint8)
    given_, changed = (score(confusion_matrix(label, guess, num_classes=classes)) for guess in (prediction, elsewhere))
    for field in dataclasses.fields(given_):
        np.testing.assert_array_equal(getattr(given_, field.name), getattr(changed, field.name))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), classes=st.integers(1, 9))
def test_scoring_merged_images_is_scoring_the_sum_of_their_matrices(seed, classes):
    generator = np.random.default_rng(seed)
    label, prediction = generator.integers(0, classes, (2, 3, 5, 5)).astype(np.uint8)
    label[generator.random(label.shape) < 0.3] = VOID
    single = [confusion_matrix(a, b, num_classes=classes) for a, b in zip(label, prediction, strict=True)]
    merged = confusion_matrix(label, prediction, num_classes=classes)
    np.testing.assert_array_equal(sum(single), merged)
    assert score(sum(single)).mean_iou == pytest.approx(score(merged).mean_iou, nan_ok=True)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.zeros((2, 3), np.int64), "shape"),
        (np.zeros((1, 2, 2), np.int64), "shape"),
        (np.zeros((2, 2)), "integer"),
        (np.array([[1, -1], [0, 0]]), "negative"),
    ],
)
def test_what_is_no_confusion_matrix_is_refused(matrix, message):
    with pytest.raises(DataError, match=message):
        score(matrix)


def test_scores_need_no_torch():
    program = "import sys, segbench.metrics.scores, segbench.metrics.confusion; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_class_that_labels_ignore_is_in_no_mean():
    """Worked by hand: no pixel is labelled 0; of four labelled 1, one is predicted 0; both labelled 2 are right."""
    matrix = np.array([[0, 0, 0], [1, 3, 0], [0, 0, 2]])
    plain, without = score(matrix), score(matrix, left_out=[0])
    assert (plain.mean_iou, plain.averaged_classes) == (pytest.approx((0 + 0.75 + 1) / 3), 3)
    assert (without.mean_iou, without.averaged_classes) == (pytest.approx((0.75 + 1) / 2), 2)
    assert (without.mean_precision, without.precision_classes) == (1, 2)
    assert without.mean_recall == plain.mean_recall == pytest.approx((0.75 + 1) / 2)
    assert without.pixel_accuracy == plain.pixel_accuracy
    assert np.isnan(without.iou[0])
    assert (plain.predicted_but_unlabelled, without.predicted_but_unlabelled) == ((0,), ())
