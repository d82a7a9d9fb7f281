"""Classes that interpolation may have invented are noted, and thin classes that it cannot have invented are not."""

import numpy as np
import pytest

from segbench.config.component import DatasetEntry
from segbench.data.base import Sample
from segbench.data.masks.thin_values import places_of
from segbench.data.validation import check
from segbench.data.validation.check import check_dataset
from segbench.data.validation.facts import facts_of, from_json, to_json
from segbench.data.validation.judging import CheckedSplit, judge

RING = np.zeros((40, 40), np.uint8)
RING[8:32, 8:32] = 1
RING[9:31, 9:31] = 2
STRIPES = np.zeros((40, 40), np.uint8)
STRIPES[8:10] = 1
STRIPES[20:30] = 2


@pytest.fixture(name="notes")
def find_notes(arrays):
    def notes(label, classes=("ground", "edge", "thing"), **options):
        draw = np.random.default_rng(0)
        samples = [Sample("a", draw.integers(0, 256, (*label.shape, 3)).astype(np.uint8), label)]
        split = arrays(samples=samples, classes=len(classes))
        split.info = type(split.info)("arrays", tuple(classes), split.info.palette)
        report = check_dataset(split)
        assert from_json(to_json(report, "train")) == facts_of(report)
        entry = DatasetEntry.model_validate({"name": "folder", "classes": list(classes), **options})
        checked = {"train": CheckedSplit("train", facts_of(report), split.names, split.image_ids)}
        return [found.message for found in judge(checked, entry) if found.kind == "thin-class"]

    return notes


COLORS = [[0, 0, 0], [100, 50, 0], [200, 100, 0]]


@pytest.mark.parametrize(
    "options", [{}, {"values": [0, 128, 255]}, {"values": [[0, 3], 128, 255]}, {"palette": COLORS}]
)
def test_a_class_that_is_but_a_border_between_two_is_noted(notes, options):
    (note,) = notes(RING, **options)
    assert note.startswith("edge is nowhere more than a thin border between two other classes")
    assert "nearest-neighbour" in note


@pytest.mark.parametrize(
    "options",
    [{"values": [0, 255, 128]}, {"palette": [[0, 0, 0], [0, 0, 255], [200, 100, 0]]}],
    ids=["values", "palette"],
)
def test_a_border_that_is_no_mixture_of_its_neighbours_is_not(notes, options):
    assert notes(RING, **options) == []


def test_a_thin_class_within_one_other_is_not(notes):
    assert notes(STRIPES) == []


def test_borders_of_void_make_no_class_thin(notes):
    label = STRIPES.copy()
    label[7], label[10] = 255, 255
    assert notes(label) == []


def test_masks_are_looked_at_only_while_a_class_in_them_may_be_thin(arrays, monkeypatch):
    """The thin class 1 is in the first and the last of five masks, the areas 0 and 2 in all."""
    areas = np.repeat(np.array([[0, 2]], dtype=np.uint8), 30, axis=1).repeat(40, axis=0)
    bordered = areas.copy()
    bordered[:, 30] = 1
    labels = [bordered, areas, areas, areas, bordered]
    samples = [Sample(str(index), np.zeros((*label.shape, 3), np.uint8), label) for index, label in enumerate(labels)]
    looked_at = []
    monkeypatch.setattr(check, "places_of", lambda label, classes: looked_at.append(label) or places_of(label, classes))
    assert check.check_dataset(arrays(samples=samples)).thin_classes == ("1",)
    assert [np.array_equal(label, bordered) for label in looked_at] == [True, True]
