"""A run whose predictions were kept, and the data that it was tested on."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from predictions import COLOURS
from stored import without_checksums, write_run

from segbench.config.component import DatasetEntry
from segbench.config.suite import Loader
from segbench.data.open import open_dataset
from segbench.engine.evaluation.predictions import PredictionArchive, prediction_picture
from segbench.metrics.confusion import count_pixels
from segbench.results.arrays.matrices import ImageMatrices

NAMES = ("sky", "road")


@pytest.fixture
def data(tmp_path):
    """A folder of three images of two classes, whose labels have void pixels."""
    generator = np.random.default_rng(0)
    root = tmp_path / "data"
    for index in range(3):
        label = generator.integers(0, 2, (5, 6)).astype(np.uint8)
        label[generator.random(label.shape) < 0.3] = 255
        for folder, pixels in (("images", np.zeros((5, 6, 3), np.uint8)), ("masks", label)):
            (root / folder / "test").mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(root / folder / "test" / f"{index}.png")
    return {
        "name": "folder",
        "classes": list(NAMES),
        "root": str(root),
    }


@pytest.fixture
def run(data, tmp_path):
    """A run of an earlier version: its predictions are kept, its void row is not known."""
    split = open_dataset(DatasetEntry.model_validate(data), "test", loader=Loader())
    predictions = np.random.default_rng(1).integers(0, 2, (3, 5, 6)).astype(np.uint8)
    labels = [split.read(index).label for index in range(3)]
    counts = [count_pixels(label, guess, num_classes=2) for label, guess in zip(labels, predictions, strict=True)]
    stored = ImageMatrices(tuple(split.names), np.stack([one.confusion for one in counts]))
    recipe = {"dataset": {key: value for key, value in data.items() if key != "root"}}
    folder = write_run(
        tmp_path / "results",
        matrices=stored,
        classes=NAMES,
        recipe=recipe,
        fingerprints={"test": split.fingerprint()},
    )
    without_checksums(folder)
    with PredictionArchive(folder / "predictions.zip", COLOURS) as archive:
        for prediction in predictions:
            archive.add(prediction_picture(prediction, COLOURS))
    expected = [
        [int(((label == 255) & (guess == index)).sum()) for index in range(2)]
        for label, guess in zip(labels, predictions, strict=True)
    ]
    assert np.sum(expected) > 0
    return folder, np.array(expected)
