"""One small suite, as a notebook would write it."""

import pytest

from segbench import load_suite


@pytest.fixture
def suite():
    return load_suite(
        {
            "name": "small",
            "dataset": {"name": "scenes", "size": (16, 16), "train_images": 4, "test_images": 2},
            "transforms": {"train": ["normalize"], "test": ["normalize"]},
            "models": [{"name": "cnn", "width": 0.05}],
            "train": {"steps": 1, "batch_size": 2},
            "seeds": [0],
        }
    )
