"""Claims about boundary scores, held against literal restatements with scipy and hand-worked images."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from segbench.errors import DataError
from segbench.metrics.boundary import (
    BAND_WIDTH,
    CONTOUR_TOLERANCE,
    BoundaryCounts,
    boundary_counts,
    boundary_f1,
    boundary_iou,
)

VOID = 255


def blobs(seed, *, size=(90, 120), classes=4, void=False):
    """Smooth regions of several classes, as segmentations have."""
    generator = np.random.default_rng(seed)
    fields = [ndimage.gaussian_filter(generator.normal(size=size), 6) for _ in range(classes)]
    label = np.argmax(fields, axis=0).astype(np.uint8)
    if void:
        label[ndimage.gaussian_filter(generator.normal(size=size), 4) > 0.12] = VOID
    return label


def inner_contour(mask):
    """The pixels of a mask with a 4-neighbour in the image that is not of it."""
    return mask & ndimage.binary_dilation(~mask)


def near(points, others, tolerance):
    """Which points have another one within a distance."""
    if not others.any():
        return np.zeros_like(points)
    return points & (ndimage.distance_transform_edt(~others) <= tolerance)


def official_band(mask, width):
    """The band of the published boundary IoU: the mask without its erosion by ``width`` 3x3 steps, nothing outside."""
    eroded = ndimage.binary_erosion(mask, np.ones((3, 3)), iterations=width, border_value=0)
    return mask & ~eroded


def stacked(*counts):
    return BoundaryCounts(*(np.stack(parts) for parts in zip(*counts, strict=True)))


@pytest.mark.parametrize("size", [(90, 120), (200, 150), (7, 9), (1, 30)])
@pytest.mark.parametrize("classes", [2, 4, 11, 40])
def test_counts_without_void_are_those_of_the_papers(size, classes):
    label, prediction = blobs(1, size=size, classes=classes), blobs(2, size=size, classes=classes)
    prediction[: size[0] // 2] = label[: size[0] // 2]
    diagonal = math.hypot(*size)
    tolerance, width = CONTOUR_TOLERANCE * diagonal, max(1, round(BAND_WIDTH * diagonal))
    counts = boundary_counts(label, prediction, num_classes=classes)
    for index in range(classes):
        truth, found = label == index, prediction == index
        lines = inner_contour(truth), inner_contour(found)
        assert counts.labelled[index] == lines[0].sum()
        assert counts.predicted[index] == lines[1].sum()
        assert counts.labelled_near[index] == near(lines[0], lines[1], tolerance).sum()
        assert counts.predicted_near[index] == near(lines[1], lines[0], tolerance).sum()
        bands = official_band(truth, width), official_band(found, width)
        assert counts.band_both[index] == (bands[0] & bands[1]).sum()
        assert counts.band_either[index] == (bands[0] | bands[1]).sum()


def test_more_classes_than_bits_in_a_word_are_counted_alike():
    label, prediction = blobs(3, classes=4), blobs(4, classes=4)
    few = boundary_counts(label, prediction, num_classes=4)
    many = boundary_counts(label * 60, prediction * 60, num_classes=200)
    for small, large in zip(few, many, strict=True):
        assert np.array_equal(small, large[[0, 60, 120, 180]])
        assert large.sum() == small.sum()


def test_a_perfect_prediction_scores_one_and_a_shifted_one_within_the_tolerance_keeps_its_f1():
    label = np.zeros((200, 200), np.uint8)  # tolerance 2.1 pixels, band 6 pixels
    label[60:140, 60:140] = 1
    perfect = stacked(boundary_counts(label, label, num_classes=2))
    assert boundary_f1(perfect) == boundary_iou(perfect) == 1.0
    near_by = stacked(boundary_counts(label, np.roll(label, 2, axis=1), num_classes=2))
    assert boundary_f1(near_by) == pytest.approx(1.0, abs=0.01)
    assert boundary_iou(near_by) < 0.9
    far = stacked(boundary_counts(label, np.roll(label, 20, axis=1), num_classes=2))
    assert boundary_f1(far) < 0.7


def test_a_hand_worked_pair_of_halves():
    label, prediction = np.zeros((100, 100), np.uint8), np.zeros((100, 100), np.uint8)
    label[:, 50:] = 1  # tolerance 1.06, band 3
    prediction[:, 51:] = 1
    counts = boundary_counts(label, prediction, num_classes=2)
    assert counts.labelled.tolist() == counts.predicted.tolist() == [100, 100]
    assert counts.labelled_near.tolist() == [100, 100]
    frame = 100 * 50 - 94 * 47  # of each half: what lies within 3 pixels of the image's edge
    assert counts.band_either[0] == frame + 94 * 3 + 94 + 6  # and of the line, moved by one column
    assert boundary_f1(stacked(counts)) == 1.0


def test_what_is_predicted_in_void_changes_nothing():
    label, first, second = blobs(5, void=True), blobs(6), blobs(7)
    second = np.where(label == VOID, second, first).astype(np.uint8)
    for one, other in zip(
        boundary_counts(label, first, num_classes=4), boundary_counts(label, second, num_classes=4), strict=True
    ):
        assert np.array_equal(one, other)


def test_a_strip_of_void_is_looked_through_and_a_large_area_is_no_contour():
    label = np.zeros((200, 200), np.uint8)  # strips narrower than five pixels are looked through
    label[:, 100:] = 1
    label[:, 98:102] = VOID
    strip = boundary_counts(label, np.where(label == VOID, 0, label).astype(np.uint8), num_classes=2)
    assert strip.labelled.tolist() == strip.labelled_near.tolist() == [200, 200]
    label[:, 60:140] = VOID
    area = boundary_counts(label, np.where(label == VOID, 0, label).astype(np.uint8), num_classes=2)
    assert area.labelled.tolist() == [0, 0]


def test_f1_is_the_mean_over_images_of_the_mean_over_classes_with_a_contour():
    counts = BoundaryCounts(
        predicted=np.array([[10, 10], [0, 5]]),
        predicted_near=np.array([[5, 10], [0, 5]]),
        labelled=np.array([[10, 10], [4, 0]]),
        labelled_near=np.array([[10, 10], [0, 0]]),
        band_both=np.zeros((2, 2), int),
        band_either=np.zeros((2, 2), int),
    )
    first = (2 * 0.5 * 1.0 / 1.5 + 1.0) / 2
    assert boundary_f1(counts) == pytest.approx((first + 0.0) / 2)  # of the second image only class 0 is labelled
    assert math.isnan(boundary_iou(counts))


def test_nothing_labelled_has_no_score():
    void = np.full((20, 20), VOID, np.uint8)
    counts = stacked(boundary_counts(void, np.zeros_like(void), num_classes=3))
    assert math.isnan(boundary_f1(counts))
    assert math.isnan(boundary_iou(counts))


maps = arrays(np.uint8, (24, 30), elements=st.integers(0, 2))


@given(maps, maps)
@settings(max_examples=40, deadline=None)
def test_boundary_iou_does_not_depend_on_which_is_the_label(label, prediction):
    one = boundary_counts(label, prediction, num_classes=3)
    other = boundary_counts(prediction, label, num_classes=3)
    assert np.array_equal(one.band_both, other.band_both)
    assert np.array_equal(one.band_either, other.band_either)
    assert np.array_equal(one.labelled_near, other.predicted_near)


@given(maps, maps)
@settings(max_examples=40, deadline=None)
def test_counts_do_not_depend_on_how_the_image_lies(label, prediction):
    upright = boundary_counts(label, prediction, num_classes=3)
    turned = boundary_counts(label.T[::-1], prediction.T[::-1], num_classes=3)
    for one, other in zip(upright, turned, strict=True):
        assert np.array_equal(one, other)


def test_different_shapes_are_refused():
    with pytest.raises(DataError, match=r"\(4, 5\).*\(5, 4\)"):
        boundary_counts(np.zeros((4, 5), np.uint8), np.zeros((5, 4), np.uint8), num_classes=2)
