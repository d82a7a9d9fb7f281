from dataclasses import replace

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from segbench.data.base import Sample
from segbench.data.datasets.folder import folder
from segbench.data.validation.check import check_dataset, median_frequency_weights
from segbench.errors import DataError


@pytest.fixture
def by_hand(arrays):
    """Two 2x4 images: one with classes 0 and 1 and a void pixel, one of class 0 only; class 2 never occurs."""
    labels = [[[0, 0, 0, 0], [1, 1, 255, 0]], [[0] * 4] * 2]
    samples = [
        Sample(f"{index}", np.zeros((2, 4, 3), dtype=np.uint8), np.array(label, dtype=np.uint8))
        for index, label in enumerate(labels)
    ]
    return arrays(samples=samples)


def test_counts_worked_out_by_hand(by_hand):
    report = check_dataset(by_hand)
    assert report.images == 2
    assert report.sizes == {(2, 4): 2}
    assert report.class_pixels == (13, 2, 0)
    assert report.class_images == (2, 1, 0)
    assert report.class_image_pixels == (16, 8, 0)
    assert report.void_pixels == 1
    assert report.class_frequencies == (13 / 15, 2 / 15, 0)
    assert report.problems == ()


def test_median_frequency_weights_worked_out_by_hand(by_hand):
    """Frequencies 13/16 and 2/8, median 17/32; the absent class weighs nothing."""
    assert median_frequency_weights(check_dataset(by_hand)) == pytest.approx((17 / 26, 17 / 8, 0))


def test_weights_are_inverse_frequencies_where_every_class_is_in_every_image(arrays):
    """Up to a factor these are scikit-learn's balanced class weights."""
    dataset = arrays(6, size=(30, 30))
    weights = np.array(median_frequency_weights(check_dataset(dataset)))
    labels = np.concatenate([sample.label.ravel() for sample in dataset.samples])
    balanced = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    assert np.allclose(weights / weights[0], balanced / balanced[0])


def test_weights_without_any_pixel_are_refused(by_hand):
    report = replace(check_dataset(by_hand), class_pixels=(0, 0, 0))
    with pytest.raises(DataError, match="no pixel of any class"):
        median_frequency_weights(report)


def test_all_problems_are_collected(tmp_path, save):
    for name in "abcd":
        save(np.zeros((4, 4, 3)), tmp_path / "images/train" / f"{name}.png")
        save(np.zeros((4, 4)), tmp_path / "masks/train" / f"{name}.png")
    save(np.full((4, 4), 9), tmp_path / "masks/train/b.png")
    torn = tmp_path / "images/train/c.png"
    torn.write_bytes(torn.read_bytes()[:40])
    (tmp_path / "masks/train/d.png").unlink()
    seen = []
    dataset = folder("train", root=str(tmp_path), classes=["x"])
    report = check_dataset(dataset, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert report.images == 1
    assert len(report.problems) == 3
    for problem, expected in zip(report.problems, ("has no mask", "holds label 9", "cannot be read"), strict=True):
        assert expected in problem


def test_an_empty_split_is_a_problem(arrays):
    report = check_dataset(arrays(0))
    assert report.problems == ("the split holds no complete pair of image and label",)
    assert report.class_frequencies == (0, 0, 0)
