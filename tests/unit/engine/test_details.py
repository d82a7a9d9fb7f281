"""What the final evaluation looks at beside the matrices: counts, and predictions that anything can read."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from segbench.engine.details import Details, confidence
from segbench.engine.predictions import PredictionArchive, prediction_name
from segbench.metrics.boundary import BoundaryCounts, boundary_counts
from segbench.results.details import BOUNDARY, CALIBRATION

PALETTE = ((0, 0, 0), (255, 0, 0), (0, 255, 0))


def looked(details, count=3):
    draw = torch.Generator().manual_seed(0)
    seen = []
    for index in range(count):
        scores = torch.randn(1, 3, 12, 16, generator=draw)
        label = torch.randint(0, 3, (12, 16), generator=draw).to(torch.uint8).numpy()
        prediction = scores[0].argmax(0).to(torch.uint8).numpy()
        details.look(f"image {index}", scores, label, prediction)
        seen.append((label, prediction))
    return seen


def test_counts_are_kept_image_by_image():
    details = Details(3)
    seen = looked(details)
    found = details.collected()
    assert found.names == ("image 0", "image 1", "image 2")
    counts = BoundaryCounts(**found.part(BOUNDARY))
    for index, (label, prediction) in enumerate(seen):
        for part, expected in zip(counts, boundary_counts(label, prediction, num_classes=3), strict=True):
            assert np.array_equal(part[index], expected)
    assert found.part(CALIBRATION)["pixels"].sum() == 3 * 12 * 16


def test_confidence_is_the_softmax_of_the_best_class_for_logits_and_log_probabilities_alike():
    logits = torch.randn(1, 5, 4, 6)
    expected = logits.softmax(1).amax(1)[0].numpy()
    assert confidence(logits) == pytest.approx(expected, abs=1e-6)
    assert confidence(logits.log_softmax(1)) == pytest.approx(expected, abs=1e-6)


def test_kept_predictions_are_palette_pngs_in_the_order_of_the_split(tmp_path):
    file = tmp_path / "predictions.zip"
    with PredictionArchive(file, PALETTE) as archive:
        seen = looked(Details(3, archive))
    with zipfile.ZipFile(file) as read:
        assert read.namelist() == [prediction_name(index) for index in range(3)]
        for index, (_, prediction) in enumerate(seen):
            with Image.open(io.BytesIO(read.read(prediction_name(index)))) as picture:
                assert np.array_equal(np.asarray(picture), prediction)


def test_equal_predictions_give_equal_archives(tmp_path):
    for name in "ab":
        with PredictionArchive(tmp_path / name, PALETTE) as archive:
            looked(Details(3, archive))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_nothing_looked_at_gives_no_arrays():
    assert Details(3).collected().arrays == {}
