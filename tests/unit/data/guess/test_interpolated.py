"""Masks that were resized with interpolation hold values of no class; thin classes are left alone."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from segbench.data.guess.classes import guess_classes
from segbench.data.masks.survey import survey_masks

COLORS = ((20, 20, 20), (230, 40, 40), (40, 230, 40))
WAYS = ("box", "bilinear", "bicubic", "lanczos", "enlarged", "smoothed")


def regions(*values, side=256, count=4, seed=0):
    """Return masks of a background with discs and boxes of other values, as ``Image``."""
    places = np.random.default_rng(seed)
    masks = []
    for _ in range(count):
        mask = Image.new("RGB" if isinstance(values[0], tuple) else "L", (side, side), values[0])
        draw = ImageDraw.Draw(mask)
        for value in values[1:] * 2:
            x, y, size = (int(places.integers(0, side - 70)), int(places.integers(0, side - 70)), 33 + 2 * count)
            (draw.ellipse if places.random() < 0.6 else draw.rectangle)([x, y, x + size, y + size], fill=value)
        masks.append(mask)
    return masks


def interpolated(mask, way):
    if way == "smoothed":
        return mask.filter(ImageFilter.GaussianBlur(1))
    if way == "enlarged":
        return mask.resize((mask.width * 3 // 2, mask.height * 3 // 2), Image.Resampling.BILINEAR)
    return mask.resize((mask.width // 2, mask.height // 2), getattr(Image.Resampling, way.upper()))


def classes_of(folder, masks):
    files = [folder / f"{index}.png" for index in range(len(masks))]
    for file, mask in zip(files, masks, strict=True):
        (mask if isinstance(mask, Image.Image) else Image.fromarray(mask)).save(file)
    return guess_classes(survey_masks(files))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_interpolated_black_and_white_is_two_classes(way, mode, tmp_path):
    found = classes_of(tmp_path, [interpolated(mask, way).convert(mode) for mask in regions(0, 255)])
    assert (found.values, found.count, found.ignore) == ((0, 255), 2, ())
    assert "data check" in found.notes[0]


@pytest.mark.parametrize("way", ["box", "bilinear", "enlarged"])
def test_interpolated_levels_are_the_levels_that_fill_areas(way, tmp_path):
    found = classes_of(tmp_path, [interpolated(mask, way) for mask in regions(0, 80, 160, 240)])
    assert found.values == (0, 80, 160, 240)
    assert "nearest-neighbour" in found.notes[0]


def test_interpolated_colours_are_the_colours_that_fill_areas(tmp_path):
    found = classes_of(tmp_path, [interpolated(mask, "box") for mask in regions(*COLORS)])
    assert set(found.palette) == set(COLORS)
    assert any("nearest-neighbour" in note for note in found.notes)


@pytest.mark.parametrize("way", WAYS)
def test_what_was_resized_to_the_nearest_is_left_alone(way, tmp_path):
    found = classes_of(tmp_path, [mask.resize((100, 100), Image.Resampling.NEAREST) for mask in regions(0, 80, 160)])
    assert (found.values, found.notes) == ((0, 80, 160), ())


def test_thin_classes_on_one_background_are_not_accused(tmp_path):
    """Arteries of 128 and veins of 255, two pixels wide."""
    masks = []
    for shift in range(4):
        mask = np.zeros((80, 90), np.uint8)
        mask[10 + 5 * shift : 12 + 5 * shift] = 128
        mask[:, 20 + 9 * shift : 22 + 9 * shift] = 255
        masks.append(mask)
    found = classes_of(tmp_path, masks)
    assert (found.values, found.notes) == ((0, 128, 255), ())


def test_a_lane_outside_of_the_range_of_its_neighbours_is_not_accused(tmp_path):
    mask = np.repeat(np.array([0, 100], np.uint8), 40)[None].repeat(60, axis=0)
    mask[:, 39:41] = 200
    found = classes_of(tmp_path, [mask])
    assert (found.values, found.notes) == ((0, 100, 200), ())


@pytest.mark.parametrize(("low", "thin", "high", "values"), [(0, 1, 2, ()), (0, 128, 255, (0, 128, 255))])
def test_one_thin_class_between_two_is_a_class_and_told(low, thin, high, values, tmp_path):
    mask = np.full((60, 60), low, np.uint8)
    mask[14:46, 14:46] = thin
    mask[16:44, 16:44] = high
    found = classes_of(tmp_path, [mask, mask.T])
    assert (found.count, found.values) == (3, values)
    assert f"{thin} fills nothing but thin borders between two others" in found.notes[-1]


def test_borders_around_every_region_are_not_accused(tmp_path):
    """Many classes by number, of which two happen to be thin and between their neighbours' numbers."""
    mask = np.zeros((64, 128), np.uint8)
    for index, value in enumerate((7, 8, 11, 21, 22, 23, 24, 26)):
        mask[:, 16 * index : 16 * index + 16] = value
    mask[:, 47:49] = 17
    mask[:, 63:65] = 19
    found = classes_of(tmp_path, [mask])
    assert len(found.values) == 10


def test_one_thin_class_among_many_is_not_told(tmp_path):
    mask = np.repeat(np.array([0, 7, 8, 11, 21, 26], np.uint8), 20)[None].repeat(40, axis=0)
    mask[:, 39:41] = 1
    mask[:, :20] = 0
    assert not any("thin borders" in note for note in classes_of(tmp_path, [mask]).notes)
