"""Claims about the calibration error, held against torchmetrics and hand-worked pixels."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.classification import MulticlassCalibrationError

from segbench.metrics.calibration import BINS, CalibrationCounts, calibration_counts, calibration_error


def counted(label, scores):
    probability = torch.softmax(scores, 0)
    confidence, prediction = probability.max(0)
    return calibration_counts(label.numpy(), prediction.to(torch.uint8).numpy(), confidence.numpy())


def stacked(*counts):
    return CalibrationCounts(*(np.stack(parts) for parts in zip(*counts, strict=True)))


@pytest.mark.parametrize("sharpness", [0.1, 1.0, 5.0])
def test_the_error_is_that_of_torchmetrics_over_all_images(sharpness):
    draw = torch.Generator().manual_seed(3)
    labels = [torch.randint(0, 6, (20, 30), generator=draw).to(torch.uint8) for _ in range(3)]
    labels[0][:4] = 255
    scores = [sharpness * torch.randn(6, 20, 30, generator=draw) for _ in labels]
    oracle = MulticlassCalibrationError(num_classes=6, n_bins=BINS, norm="l1", ignore_index=255)
    for label, score in zip(labels, scores, strict=True):
        oracle.update(score[None], label[None].long())
    found = calibration_error(stacked(*map(counted, labels, scores)))
    assert found == pytest.approx(oracle.compute().item(), abs=1e-5)


def test_a_hand_worked_case():
    label = np.array([[0, 0, 1, 255]], np.uint8)
    prediction = np.array([[0, 1, 1, 1]], np.uint8)
    confidence = np.array([[0.9, 0.9, 1.0, 0.9]])
    counts = calibration_counts(label, prediction, confidence)
    assert counts.pixels.sum() == 3
    assert counts.pixels[BINS - 1] == 1  # (14/15, 1]
    assert counts.pixels[13] == 2  # (13/15, 14/15]
    assert calibration_error(stacked(counts)) == pytest.approx(abs(1 - 1.8) / 3)


def test_no_pixel_has_no_error():
    void = np.full((3, 3), 255, np.uint8)
    assert math.isnan(calibration_error(stacked(calibration_counts(void, void, np.ones((3, 3))))))


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=50))
@settings(deadline=None)
def test_the_error_lies_between_0_and_1_and_no_pixel_is_lost(pixels):
    confidence = np.array([[sure for sure, _ in pixels]])
    label = np.array([[0 if right else 1 for _, right in pixels]], np.uint8)
    counts = calibration_counts(label, np.zeros_like(label), confidence)
    assert counts.pixels.sum() == len(pixels)
    assert counts.correct.sum() == sum(right for _, right in pixels)
    assert 0 <= calibration_error(stacked(counts)) <= 1


def test_nan_of_a_diverged_network_is_counted_without_a_warning():
    label = np.array([[0, 1, 1, 255]], np.uint8)
    sure = np.array([[np.nan, 0.95, np.nan, np.nan]], np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        counts = calibration_counts(label, np.ones_like(label), sure)
    assert counts.pixels.sum() == 3
    assert (counts.pixels[0], counts.pixels[-1]) == (2, 1)
    assert np.isnan(calibration_error(CalibrationCounts(*(part[None] for part in counts))))
