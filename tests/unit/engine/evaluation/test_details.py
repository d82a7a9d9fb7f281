"""What the final evaluation looks at beside the matrices: counts, and predictions that anything can read."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from segbench.engine.background import INLINE, Threads
from segbench.engine.evaluation.details import Details
from segbench.engine.evaluation.predictions import PredictionArchive, prediction_name
from segbench.engine.evaluation.predictor import confidence
from segbench.errors import DataError
from segbench.metrics.boundary import BoundaryCounts, boundary_counts
from segbench.results.arrays.details import BOUNDARY, CALIBRATION, save_details

PALETTE = ((0, 0, 0), (255, 0, 0), (0, 255, 0))


def looked(details, count=3):
    draw = torch.Generator().manual_seed(0)
    seen = []
    for index in range(count):
        scores = torch.randn(1, 3, 12, 16, generator=draw)
        label = torch.randint(0, 3, (12, 16), generator=draw).to(torch.uint8).numpy()
        prediction = scores[0].argmax(0).to(torch.uint8).numpy()
        details.update(f"image {index}", label, prediction, confidence(scores[0]).numpy())
        seen.append((label, prediction))
    details.finish()
    return seen


def test_counts_are_kept_image_by_image():
    details = Details(3)
    seen = looked(details)
    found = details.compute()
    assert found.names == ("image 0", "image 1", "image 2")
    counts = BoundaryCounts(**found.part(BOUNDARY))
    for index, (label, prediction) in enumerate(seen):
        for part, expected in zip(counts, boundary_counts(label, prediction, num_classes=3), strict=True):
            assert np.array_equal(part[index], expected)
    assert found.part(CALIBRATION)["pixels"].sum() == 3 * 12 * 16


def test_confidence_is_the_softmax_of_the_best_class_for_logits_and_log_probabilities_alike():
    logits = torch.randn(1, 5, 4, 6)
    expected = logits.softmax(1).amax(1)[0].numpy()
    assert confidence(logits[0]).numpy() == pytest.approx(expected, abs=1e-6)
    assert confidence(logits.log_softmax(1)[0]).numpy() == pytest.approx(expected, abs=1e-6)


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
    assert Details(3).compute().arrays == {}


KINDS = [Threads(2), Threads(3, in_background=True), Threads(1, in_background=True)]


@pytest.mark.parametrize("threads", KINDS)
def test_threads_leave_the_files_that_one_thread_leaves(threads, tmp_path):
    files = []
    for number, kind in enumerate((INLINE, threads)):
        folder = tmp_path / str(number)
        folder.mkdir()
        with PredictionArchive(folder / "p.zip", PALETTE) as archive, Details(3, archive, threads=kind) as details:
            looked(details, 11)
        save_details(folder / "details.npz", details.compute())
        files.append([(folder / name).read_bytes() for name in ("p.zip", "details.npz")])
    assert files[0] == files[1]


@pytest.mark.parametrize("threads", KINDS)
def test_what_goes_wrong_in_a_thread_is_raised_in_the_run(threads):
    blank = np.zeros((4, 4), np.uint8)
    with Details(3, threads=threads) as details:
        details.update("right", blank, blank, np.ones((4, 4), np.float32))

        def look_at_wrong_ones():
            for _ in range(20):
                details.update("wrong", np.zeros((4, 5), np.uint8), blank, np.ones((4, 4), np.float32))

        with pytest.raises(DataError, match=r"label has shape \(4, 5\)"):
            look_at_wrong_ones()
