"""Guessing classes from masks: nothing is void by default that could be a class."""

import json
from itertools import product

import numpy as np
import pytest
from PIL import Image

from segbench.data.guess.classes import guess_classes
from segbench.data.masks.class_files import find_class_file
from segbench.data.masks.survey import survey_masks

SIDE = 40


def blocks(*values, dtype=np.uint8):
    """Return equal columns of values."""
    return np.repeat(np.array(values, dtype), SIDE // len(values))[None].repeat(SIDE, axis=0)


def bordered(*values, border):
    """Return columns of values with lines three pixels wide between them."""
    mask = blocks(*values)
    for column in range(1, len(values)):
        at = column * (SIDE // len(values))
        mask[:, at - 1 : at + 2] = border
    return mask


def classes_of(folder, *masks, suffix=".png", ending=""):
    """Return what is guessed of masks: arrays or Pillow images."""
    files = []
    for index, mask in enumerate(masks):
        files.append(folder / f"{index}{suffix}")
        (mask if isinstance(mask, Image.Image) else Image.fromarray(mask)).save(files[-1])
    return guess_classes(survey_masks(files), named=find_class_file([folder]), ending=ending)


def palette_image(indices, colors):
    image = Image.fromarray(indices)
    image.putpalette([part for color in colors for part in color])
    return image


@pytest.mark.parametrize("values", [(0, 128, 255), (0, 255), (0, 100), (1, 2, 3), (0, 4, 8), (85, 170, 255)])
def test_few_values_with_gaps_are_the_values_of_classes(values, tmp_path):
    found = classes_of(tmp_path, blocks(*values), blocks(*values[::-1]))
    assert (found.values, found.ignore, found.count) == (values, (), len(values))
    assert found.open_values == ()


@pytest.mark.parametrize("count", [2, 3, 20])
def test_values_from_0_on_are_the_classes(count, tmp_path):
    found = classes_of(tmp_path, blocks(*range(count)))
    assert (found.count, found.values, found.ignore) == (count, (), ())


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
def test_wider_numbers_are_classes_too(dtype, tmp_path):
    found = classes_of(tmp_path, blocks(0, 1, 2, dtype=dtype), suffix=".tif")
    assert (found.count, found.values) == (3, ())


def test_minus_1_is_void(tmp_path):
    found = classes_of(tmp_path, blocks(0, 1, -1, 2, dtype=np.int32), suffix=".tif")
    assert (found.count, found.ignore) == (3, (-1,))
    assert found.notes == ("the negative -1 is taken for void",)


def test_one_bit_is_two_classes(tmp_path):
    found = classes_of(tmp_path, Image.fromarray(blocks(0, 1).astype(bool)))
    assert (found.count, found.values, found.ignore) == (2, (), ())


def test_one_bit_beside_black_and_white_stands_for_them(tmp_path):
    found = classes_of(tmp_path, Image.fromarray(blocks(0, 1).astype(bool)), blocks(0, 255))
    assert found.values == (0, 255)


def test_thin_borders_of_255_are_void_and_told(tmp_path):
    found = classes_of(tmp_path, bordered(0, 1, 2, border=255))
    assert (found.count, found.ignore, found.open_values) == (3, (255,), ())
    assert found.notes == ("255 fills thin borders between classes only, and is void here; it could be a class",)


@pytest.mark.parametrize("width", [1, 3, 5])
def test_thin_lines_of_255_within_a_class_are_a_class_and_an_open_question(tmp_path, width):
    mask = blocks(0, 1, 0)
    mask = np.kron(mask, np.ones((12, 12), np.uint8))  # wide enough for lines far from any other class
    rows = slice(mask.shape[0] // 2, mask.shape[0] // 2 + width)
    mask[rows] = np.where(mask[rows] == 0, 255, mask[rows])
    found = classes_of(tmp_path, mask)
    assert (found.values, found.ignore, found.open_values) == ((0, 1, 255), (), (255,))


def test_255_that_fills_areas_is_a_class_and_an_open_question(tmp_path):
    found = classes_of(tmp_path, blocks(0, 1, 255))
    assert (found.values, found.ignore, found.open_values) == ((0, 1, 255), (), (255,))
    assert found.names[-1] == "value_255"
    void = found.with_void(255)
    assert (void.names, void.values, void.ignore, void.open_values) == (("background", "class_1"), (), (255,), ())


@pytest.mark.parametrize(
    ("values", "apart", "kept"),
    [
        ((0, 1, 2, 3, 15), (15,), ()),  # 4 bits
        ((0, 1, 2, 127), (127,), ()),
        ((0, 1, 2, 65535), (65535,), ()),  # -1 in 16 bits without a sign
        ((0, 1, 100), (100,), ()),
        ((0, 1, 2, 254), (254,), ()),
        ((0, 1, 2, 254, 255), (254, 255), ()),
        ((0, 50, 100, 255), (255,), (0, 50, 100)),
        ((0, 4, 8, 255), (255,), (0, 4, 8)),
        ((1, 2, 3, 255), (255,), (1, 2, 3)),
        ((7, 8, 11, 65535), (65535,), (7, 8, 11)),
        ((*range(30), 32, 34, 255), (255,), ()),  # and two that are rare
    ],
)
def test_values_that_lie_apart_are_classes_and_open_questions(values, apart, kept, tmp_path):
    masks = [np.array(values, np.uint16).repeat(7)[None].repeat(SIDE, axis=0) for _ in range(2)]
    found = classes_of(tmp_path, *masks)
    assert (found.open_values, found.ignore) == (apart, ())
    assert found.names[-len(apart) :] == tuple(f"value_{value}" for value in apart)
    assert set(values) <= set(found.values)
    assert len(found.values) == found.count
    for value in apart:
        found = found.with_void(value)
    assert (found.values, found.ignore, found.open_values) == (kept, apart, ())
    assert not any("value_" in name for name in found.names)


@pytest.mark.parametrize(
    "values", [(0, 1, 3), (0, 1, 2, 5), (0, 127, 255), (0, 85, 170, 255), (0, 4, 8), (3, 7, 15), (0, 15)]
)
def test_values_that_may_well_be_classes_are_not_asked_about(values, tmp_path):
    assert classes_of(tmp_path, blocks(*values)).open_values == ()


def test_a_value_that_a_file_names_is_a_class_and_one_that_it_does_not_is_void(tmp_path):
    (tmp_path / "labels.txt").write_text("0: sky\n1: road\n15: tram\n", encoding="utf-8")
    assert classes_of(tmp_path, blocks(0, 1, 15)).names == ("sky", "road", "tram")
    (tmp_path / "labels.txt").write_text("sky\nroad\n", encoding="utf-8")
    assert classes_of(tmp_path, blocks(0, 1, 15)).ignore == (15,)


@pytest.mark.parametrize("values", [(0, 1, 2, 15), (0, 50, 100, 255)])
def test_indices_of_palettes_are_asked_about_as_well(values, tmp_path):
    colors = [(index, 0, 255 - index) for index in range(256)]
    assert classes_of(tmp_path, palette_image(blocks(*values), colors)).open_values == values[-1:]


def test_255_is_void_where_the_names_of_all_other_numbers_are_known(tmp_path):
    (tmp_path / "classes.txt").write_text("sky\nroad\n", encoding="utf-8")
    found = classes_of(tmp_path, blocks(0, 1, 255))
    assert (found.names, found.ignore) == (("sky", "road"), (255,))


def test_jpeg_masks_are_named_as_lossy_and_proposed_as_two_classes(tmp_path):
    rng = np.random.default_rng(0)
    masks = [np.where(rng.random((8, 8)) > 0.5, 255, 0).astype(np.uint8).repeat(16, 0).repeat(16, 1) for _ in range(3)]
    found = classes_of(tmp_path, *masks, suffix=".jpg")
    assert (found.values, found.count) == ((0, 255), 2)
    assert "lossy" in found.notes[-1]
    assert "threshold" in found.notes[-1]


def test_jpeg_masks_of_several_levels_tell_no_classes(tmp_path):
    found = classes_of(tmp_path, blocks(0, 80, 160, 240), suffix=".jpg")
    assert found.count == 0
    assert "lossy" in found.notes[-1]


@pytest.mark.parametrize("order", [1, -1])
def test_grey_and_rgb_black_and_white_are_the_same_two_classes(order, tmp_path):
    masks = [blocks(0, 255), np.dstack([blocks(255, 0)] * 3)]
    found = classes_of(tmp_path, *masks[::order])
    assert (found.values, found.palette, found.ignore) == ((0, 255), (), ())


def test_rgb_masks_have_a_palette(tmp_path):
    found = classes_of(tmp_path, np.dstack([blocks(0, 255), blocks(0, 0), blocks(7, 9)]))
    assert found.palette == ((0, 0, 7), (255, 0, 9))
    assert found.ignore_color is None


@pytest.mark.parametrize(("color", "thin"), [*product([(224, 224, 192), (255, 255, 255)], [True, False])])
def test_only_thin_lines_of_a_border_colour_are_void(color, thin, tmp_path):
    table = np.array([(0, 0, 0), (128, 0, 0), (0, 128, 0), color], np.uint8)
    found = classes_of(tmp_path, table[bordered(0, 1, 2, border=3) if thin else blocks(0, 1, 2, 3)])
    assert (found.ignore_color, found.count) == ((color, 3) if thin else (None, 4))


def test_palettes_that_differ_from_file_to_file_are_colours(tmp_path):
    black, red, green = (0, 0, 0), (255, 0, 0), (0, 255, 0)
    images = [palette_image(blocks(0, 1, 2), colors) for colors in ((black, red, green), (black, green, red))]
    assert classes_of(tmp_path, *images).palette == (black, green, red)


def test_palettes_that_agree_are_numbers(tmp_path):
    found = classes_of(tmp_path, *[palette_image(blocks(0, 1), ((0, 0, 0), (255, 0, 0)))] * 2)
    assert (found.count, found.palette) == (2, ())
    assert found.notes == ("the masks' own palette shows 0 (0, 0, 0), 1 (255, 0, 0)",)


def test_black_and_white_palettes_beside_grey_are_read_by_colour(tmp_path):
    found = classes_of(tmp_path, palette_image(blocks(0, 1), ((0, 0, 0), (255, 255, 255))), blocks(0, 255))
    assert found.palette == ((0, 0, 0), (255, 255, 255))


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_and_probabilities_hold_no_classes(channels, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, channels)).astype(np.uint8)
    found = classes_of(tmp_path, noise.squeeze())
    assert found.count == 0
    assert found.notes


@pytest.mark.parametrize(
    ("file", "text", "names"),
    [
        ("class_names.txt", "__ignore__\n_background_\ncat\n", ("_background_", "cat")),
        ("_classes.csv", "Pixel Value, Class\n0, background\n1, cat\n", ("background", "cat")),
        ("labels.txt", "\ufeffcat\r\n", ("background", "cat")),
        ("labels.txt", "0: no\n1: yes\n", ("no", "yes")),
        ("dataset.json", json.dumps({"labels": {"background": 0, "tumour": 1}}), ("background", "tumour")),
        ("dataset.json", json.dumps({"labels": {"0": "background", "1": "tumour"}}), ("background", "tumour")),
        ("classes.txt", "a\na\n", ("background", "class_1")),
        ("dataset.json", "[]", ("background", "class_1")),
    ],
)
def test_names_are_those_of_a_file(file, text, names, tmp_path):
    (tmp_path / file).write_text(text, encoding="utf-8", newline="")
    assert classes_of(tmp_path, blocks(0, 1)).names == names


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("labels.txt", "1 cat\n2 dog\n3 bird\n"),
        ("_classes.csv", "Pixel Value, Class\n1, cat\n2, dog\n3, bird\n"),
        ("dataset.json", json.dumps({"labels": {"cat": 1, "dog": 2, "bird": 3}})),
    ],
)
def test_names_of_values_stay_with_their_values_and_0_is_the_background(file, text, tmp_path):
    (tmp_path / file).write_text(text, encoding="utf-8")
    found = classes_of(tmp_path, blocks(0, 1, 2))
    assert (found.names, found.values) == (("background", "cat", "dog", "bird"), ())


def test_names_of_other_values_are_not_taken_by_their_order(tmp_path):
    (tmp_path / "labels.txt").write_text("0: sky\n1: road\n2: tram\n", encoding="utf-8")
    found = classes_of(tmp_path, blocks(1, 2, 3))
    assert found.values == (1, 2, 3)
    assert "tram" not in found.names
    assert "labels.txt names no class of the value 3, which the masks hold: name them" in found.notes
    (tmp_path / "labels.txt").write_text("0: sky\n1: road\n", encoding="utf-8")
    assert classes_of(tmp_path, blocks(0, 255)).names == ("sky", "road"), "black and white stand for 0 and 1"


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("labelmap.txt", "# label:color_rgb:parts:actions\nroad:128,0,0::\nsky:0,0,128::\nbackground:0,0,0::\n"),
        ("label_colors.txt", "128 0 0\troad\n0 0 128\tsky\n0 0 0\tbackground\n"),
        ("class_dict.csv", "name,r,g,b\nroad,128,0,0\nsky,0,0,128\nbackground,0,0,0\n"),
    ],
)
def test_names_and_colours_are_those_of_a_file(file, text, tmp_path):
    (tmp_path / file).write_text(text, encoding="utf-8")
    found = classes_of(tmp_path, np.dstack([blocks(0, 128), blocks(0, 0), blocks(0, 0)]))
    assert found.names == ("road", "sky", "background")
    assert found.palette == ((128, 0, 0), (0, 0, 128), (0, 0, 0))


def test_the_numbers_of_cityscapes_have_its_names(tmp_path):
    found = classes_of(tmp_path, blocks(0, 4, 7, 11), ending="_gtFine_labelIds")
    assert (found.names, found.values) == (("road", "building"), (7, 11))
    assert {0, 4} <= set(found.ignore)
    assert classes_of(tmp_path, blocks(*range(19)), ending="_labelTrainIds").names == "cityscapes-train-ids"


def test_masks_that_cannot_be_read_are_told(tmp_path):
    (tmp_path / "0.png").write_bytes(b"broken")
    found = guess_classes(survey_masks([tmp_path / "0.png"]))
    assert found.count == 0
    assert found.notes[0].startswith("1 of 1 masks cannot be read: ")
