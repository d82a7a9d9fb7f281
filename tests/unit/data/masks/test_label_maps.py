"""Ready-made maps of public data sets."""

import numpy as np
import pytest

from segbench.data.datasets.folder import folder
from segbench.data.masks.label_maps import LABEL_MAPS, label_map
from segbench.data.masks.options import table_of_map
from segbench.errors import DataError, UnknownNameError


@pytest.mark.parametrize("name", LABEL_MAPS)
def test_every_map_is_whole(name):
    known = label_map(name)
    assert len(known.classes) == len(set(known.classes)) == len(set(known.values))
    assert not set(known.values) & set(known.ignore)
    assert known.palette is None or len(known.palette) == len(set(known.palette)) == len(known.classes)
    by_class = {label: number for number, label in reversed(table_of_map(known).class_numbers.items())}
    assert tuple(by_class[label] for label in range(len(known.classes))) == known.values


def test_cityscapes_ids_are_those_of_the_official_table():
    """Of the 34 ids and -1, 19 are evaluated (M. Cordts et al., CVPR 2016, and the labels of its scripts)."""
    known = label_map("cityscapes-label-ids")
    by_name = dict(zip(known.classes, known.values, strict=True))
    assert (by_name["road"], by_name["pole"], by_name["traffic light"], by_name["bicycle"]) == (7, 17, 19, 33)
    assert set(range(-1, 34)) <= set(known.values) | set(known.ignore)
    assert label_map("cityscapes-train-ids").classes == known.classes
    assert known.palette[known.classes.index("car")] == (0, 0, 142)


def test_ade20k_begins_at_1_and_0_is_ignored():
    known = label_map("ade20k")
    assert (known.values[0], known.values[-1], known.ignore) == (1, 150, (0,))
    assert [known.classes[number - 1] for number in (1, 21, 66, 150)] == ["wall", "car", "toilet", "flag"]


@pytest.fixture
def city(tmp_path, save):
    save(np.zeros((1, 6, 3)), tmp_path / "images" / "a.png")
    save([[7, 8, 33, 0, 3, 255]], tmp_path / "masks" / "a.png")
    return {"root": str(tmp_path), "images": "images", "masks": "masks"}


def test_a_folder_takes_a_map_in_place_of_classes(city):
    dataset = folder("any", **city, classes="cityscapes-label-ids")
    assert dataset.info.classes[:2] == ("road", "sidewalk")
    assert dataset.info.palette[0] == (128, 64, 128)
    assert dataset.read(0).label.tolist() == [[0, 1, 18, 255, 255, 255]]


def test_a_map_is_spelled_right_and_stands_alone(city):
    with pytest.raises(UnknownNameError, match="did you mean 'cityscapes-label-ids'"):
        folder("any", **city, classes="cityscapes-labelids")
    with pytest.raises(DataError, match="brings its own numbers; leave values and ignore out"):
        folder("any", **city, classes="ade20k", values=list(range(150)), ignore=0)
