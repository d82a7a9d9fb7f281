"""Another data set's labels in the classes of the suite: worked out by hand, and every wrong map refused."""

from __future__ import annotations

import numpy as np
import pytest

from segbench.config.component import DatasetEntry
from segbench.config.suite import Loader
from segbench.data.base import DatasetInfo
from segbench.data.open import open_dataset
from segbench.data.other_classes import OtherClasses
from segbench.errors import DataError


@pytest.fixture(scope="module")
def scenes():
    """Two shapes on a background: background, disc, square."""
    entry = {"name": "scenes", "size": [32, 32], "things": ["disc", "square"], "test_images": 3}
    return open_dataset(DatasetEntry.model_validate(entry), "test", loader=Loader())


def wanted(*classes):
    return DatasetInfo("streets", classes, ((0, 0, 0),) * len(classes))


def test_labels_are_told_in_the_other_classes_and_those_of_none_are_void(scenes):
    other = OtherClasses(scenes, wanted("square", "road", "background"), {"disc": None})
    for index in range(len(scenes)):
        own, seen = scenes.read(index), other.read(index)
        by_hand = np.select([own.label == 0, own.label == 2], [2, 0], 255)
        assert np.array_equal(seen.label, by_hand)
        assert np.array_equal(seen.image, own.image)
    assert other.info.classes == ("square", "road", "background")


def test_several_classes_may_stand_for_one_and_void_stays_void(scenes):
    other = OtherClasses(scenes, wanted("road", "thing"), {"background": "road", "disc": "thing", "square": "thing"})
    assert set(np.unique(other.read(0).label)) <= {0, 1, 255}
    assert np.array_equal(other.read(0).label == 1, np.isin(scenes.read(0).label, (1, 2)))


def test_another_map_is_another_fingerprint(scenes):
    maps = ({"disc": None}, {"disc": "square"})
    found = {OtherClasses(scenes, wanted("background", "square"), one).fingerprint() for one in maps}
    assert len(found) == 2
    assert scenes.fingerprint() not in found


@pytest.mark.parametrize(
    ("classes", "classes_map", "told"),
    [
        (
            ("sky", "road"),
            {},
            "scenes has classes that streets has not: background, disc, square; map each to one of sky",
        ),
        (("background",), {"disc": None}, "that streets has not: square;"),
        (("background", "disc"), {"square": "disk"}, "streets has no class 'disk', did you mean 'disc'"),
        (("background", "disc"), {"squares": "disc"}, "scenes has no class 'squares', did you mean 'square'"),
        (("sky",), dict.fromkeys(("background", "disc", "square")), "all classes of scenes are void"),
    ],
    ids=["none fits", "one left", "unknown target", "unknown class", "all void"],
)
def test_a_map_that_leaves_something_open_is_refused_with_what_to_do(scenes, classes, classes_map, told):
    with pytest.raises(DataError, match="classes_map: ") as refused:
        OtherClasses(scenes, wanted(*classes), classes_map)
    assert told in str(refused.value)
