"""What black-and-white labels once scored with their white ignored, and what they score."""

import numpy as np
import pytest
from PIL import Image

from segbench.metrics.confusion import confusion_matrix
from segbench.metrics.scores import score

CASES = {
    "no false alarm": ((1000, 0, 611, 389), 1.000, 0.505),
    "false alarms": ((416, 584, 96, 904), 0.208, 0.475),
}
"""Pixels (black as black, black as white, white as black, white as white); mIoU without the white; mIoU."""


def masks(counts):
    """Return (40, 50) label of 0 and 255, and a prediction of 0 and 1."""
    label = np.repeat(np.array([0, 0, 255, 255], np.uint8), counts).reshape(40, 50)
    prediction = np.repeat(np.array([0, 1, 0, 1], np.uint8), counts).reshape(40, 50)
    return label, prediction


def miou_by_hand(black, false_alarms, missed, white):
    return (black / (black + false_alarms + missed) + white / (white + false_alarms + missed)) / 2


@pytest.fixture(name="scored", params=CASES.values(), ids=CASES)
def make_scored(request, tmp_path, segbench):
    """Return the case, and a function that scores its files with options."""
    counts, *figures = request.param
    label, prediction = masks(counts)
    for folder, pixels in (("labels", label), ("predictions", prediction), ("white", prediction * np.uint8(255))):
        (tmp_path / folder).mkdir()
        Image.fromarray(pixels).save(tmp_path / folder / "a.png")

    def run(*options, predictions="predictions"):
        return segbench("score", "--predictions", tmp_path / predictions, "--labels", tmp_path / "labels", *options)

    return counts, figures, run


def test_the_true_score_is_given_with_the_values(scored):
    counts, (_, true), run = scored
    found = run("--values", "0,255", "--json", predictions="white").json["mean_iou"]
    assert found == pytest.approx(miou_by_hand(*counts), abs=1e-12)
    assert found == pytest.approx(true, abs=5e-4)


def test_the_score_without_the_white_is_another_and_is_refused(scored):
    counts, (wrong, _), run = scored
    label, prediction = masks(counts)
    without = score(confusion_matrix(label, prediction, num_classes=2, ignore_index=255))
    assert without.mean_iou == pytest.approx(wrong, abs=5e-4)
    for ignoring in ((), ("--ignore-index", 255)):
        answer = run("--classes", 2, *ignoring)
        assert answer.code == 2
        assert "--values" in answer.err
