"""Claims about the ``robustness`` block: results of one condition cannot be taken for those of another."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from segbench.config.sections.robustness import Robustness


def with_labels(*labels):
    datasets = [{"label": label, "dataset": {"name": "pictures"}} for label in labels]
    return Robustness.model_validate({"datasets": datasets})


@pytest.mark.parametrize(
    "label", ["train", "fog", "fog-3", "Fog-3", "jpeg_compression-10", "run", "confusion", "history"]
)
def test_a_data_set_cannot_have_the_name_of_another_file_of_results(label):
    with pytest.raises(ValidationError, match="a data set cannot be called"):
        with_labels(label)


@pytest.mark.parametrize("label", ["night", "fog2", "foggy-3", "trains", "run2", "2019.rain"])
def test_other_names_are_free(label):
    assert with_labels(label).datasets[0].label == label


def test_two_data_sets_cannot_have_one_name():
    with pytest.raises(ValidationError, match="two of the datasets have one label"):
        with_labels("night", "night")
