"""What is measured for normalisation is measured in the images that are trained on, and in no other."""

import numpy as np
import pytest
from PIL import Image

from segbench.config.load import check
from segbench.config.plan import plan
from segbench.data.loading.statistics import measure
from segbench.engine.estimate.data_survey import uncached
from segbench.engine.run.data import measured, open_run_data
from segbench.errors import DataError


@pytest.fixture(name="runs")
def make_runs(tmp_path):
    """Return a function that makes the runs of a suite on six 16-bit images, each of its own brightness."""
    generator = np.random.default_rng(0)
    for split, names in {"train": "abcd", "test": "ef"}.items():
        for part in ("images", "masks"):
            (tmp_path / part / split).mkdir(parents=True)
        for number, name in enumerate(names):
            pixels = generator.integers(1000 * number, 1000 * number + 500, (33, 35)) + (9000 if split == "test" else 0)
            Image.fromarray(pixels.astype(np.uint16)).save(tmp_path / "images" / split / f"{name}.png")
            Image.fromarray(np.zeros((33, 35), np.uint8)).save(tmp_path / "masks" / split / f"{name}.png")

    def make(**dataset):
        step = {"name": "normalize", "statistics": "measured"}
        folder = {"name": "folder", "root": str(tmp_path), "classes": ["a", "b"], "channels": 1}
        document = {
            "dataset": {**folder, **dataset},
            "transforms": {"train": [step], "test": [step]},
            "models": ["cnn"],
            "train": {"epochs": 1, "batch_size": 2},
            "seeds": [0],
        }
        return plan(check(document))

    return make


def test_the_training_split_alone_is_measured(runs):
    run_data = open_run_data(runs()[0])
    pixels = np.concatenate([run_data.train.read(index).image.ravel() for index in range(4)]).astype(float)
    found = run_data.images.statistics
    assert found.mean == pytest.approx((pixels.mean(),), rel=1e-6)
    assert found.std == pytest.approx((pixels.std(),), rel=1e-6)
    assert run_data.test_pipeline().steps[-1].pixel_mean == pytest.approx([pixels.mean()], rel=1e-6)


def test_a_fraction_of_it_is_measured_where_a_fraction_is_trained_on(runs):
    run_data = open_run_data(runs(fraction=0.5)[0])
    assert len(run_data.train) == 2
    assert run_data.images.statistics == measure(run_data.train) != open_run_data(runs()[0]).images.statistics


def test_each_fold_is_normalised_by_the_images_that_it_is_trained_on(runs):
    found = [open_run_data(run) for run in runs(folds=3)]
    assert len({run_data.images.statistics for run_data in found}) == 3
    for run_data in found:
        assert not set(run_data.train.names) & set(run_data.test.names)
        assert run_data.images.statistics == measure(run_data.train)


def test_what_a_check_found_is_taken_and_not_measured_again(runs, monkeypatch):
    run = runs()[0]
    checks = measured(open_run_data(run))
    monkeypatch.setattr("segbench.engine.run.data.measure", None)
    known = open_run_data(run, checks)
    assert measured(known) == checks


def test_an_estimate_measures_a_few_images(runs):
    assert uncached(runs()[0]).statistics is not None


def test_splits_of_two_types_of_pixels_are_refused(runs, tmp_path):
    for name in "ef":
        Image.fromarray(np.zeros((33, 35), np.uint8)).save(tmp_path / f"images/test/{name}.png")
    with pytest.raises(DataError, match="train: 1 channel of uint16; test: 1 channel of uint8"):
        open_run_data(runs()[0])
    with pytest.raises(DataError, match="not alike"):
        open_run_data(runs(folds=3)[0])
