"""Bounds of options are checked when a suite is read, before anything is imported."""

import pytest

from segbench.config.component import DatasetEntry, ModelEntry, TransformEntry
from segbench.config.load import check_part
from segbench.errors import SuiteError

SIZE = r"expected \[height, width\] in pixels, both above 0"


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        (ModelEntry, {"name": "unet", "width": 0}, r"width: should be greater than 0 \(given 0\)"),
        (ModelEntry, {"name": "fcn8s", "width": -0.5}, r"width: should be greater than 0 \(given -0.5\)"),
        (TransformEntry, {"name": "resize", "size": [0, 0]}, rf"size: {SIZE} \(given \[0, 0\]\)"),
        (TransformEntry, {"name": "resize", "scale": 0}, r"scale: should be greater than 0 \(given 0\)"),
        (TransformEntry, {"name": "random_crop", "size": [64]}, rf"size: {SIZE} \(given \[64\]\)"),
        (TransformEntry, {"name": "vertical_flip", "p": 1.5}, r"p: should be less than or equal to 1 \(given 1.5\)"),
        (DatasetEntry, {"name": "scenes", "size": [64, 0]}, rf"size: {SIZE} \(given \[64, 0\]\)"),
        (DatasetEntry, {"name": "folder", "classes": ["a", "b", "a"]}, r"classes: names the class 'a' twice \(given"),
    ],
)
def test_values_that_cannot_be_are_refused(kind, given, message):
    with pytest.raises(SuiteError, match=rf"^{message}"):
        check_part(kind, given)


def test_a_predefined_map_stands_for_the_names_of_classes():
    assert check_part(DatasetEntry, {"name": "folder", "classes": "ade20k"}).options["classes"] == "ade20k"
