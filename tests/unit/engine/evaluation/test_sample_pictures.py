"""Sample pictures: which images, and that indices and colours survive."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from segbench.data.base import DatasetInfo, Sample, SegmentationDataset
from segbench.engine.evaluation.evaluate import Picture
from segbench.engine.evaluation.sample_pictures import VOID_COLOR, displayed, palette_image, save_pictures, spread

PALETTE = ((10, 20, 30), (40, 50, 60), (70, 80, 90))


class OneImage(SegmentationDataset):
    info = DatasetInfo("one", ("a", "b", "c"), PALETTE)
    names = ('../../über "x"',)

    def read(self, index):
        return Sample(self.names[index], np.zeros((2, 3, 3), np.uint8), np.array([[0, 1, 2], [255, 1, 0]], np.uint8))

    def fingerprint(self):
        return "one"


@given(count=st.integers(0, 20), total=st.integers(1, 50))
def test_spread_gives_distinct_positions_inside(count, total):
    positions = spread(count, total)
    assert len(set(positions)) == len(positions) == min(count, total)
    assert all(0 <= position < total for position in positions)


def test_palette_images_keep_indices_and_show_colours(tmp_path):
    classes = np.array([[0, 1], [2, 255]], np.uint8)
    palette_image(classes, PALETTE).save(tmp_path / "x.png")
    with Image.open(tmp_path / "x.png") as image:
        assert np.array_equal(np.asarray(image), classes)
        colors = np.asarray(image.convert("RGB"))
    assert tuple(colors[0, 1]) == PALETTE[1]
    assert tuple(colors[1, 1]) == VOID_COLOR


def test_pictures_stay_in_their_folder_whatever_the_image_is_called(tmp_path):
    folder = tmp_path / "samples"
    save_pictures(folder, [Picture(0, OneImage.names[0], np.ones((2, 3), np.uint8))], OneImage())
    written = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png"))
    assert written == [f"samples/0000-über-x-{kind}.png" for kind in ("image", "label", "prediction")]


def test_an_8_bit_rgb_image_is_shown_as_it_is():
    image = np.random.default_rng(0).integers(0, 256, (5, 6, 3)).astype(np.uint8)
    shown = displayed(image)
    assert np.array_equal(np.asarray(shown.picture), image)
    assert shown.how == ""


@pytest.mark.parametrize("channels", [1, 2, 4, 6])
def test_other_8_bit_images_are_shown_by_their_first_channels(channels):
    image = np.random.default_rng(0).integers(0, 256, (5, 6, channels)).astype(np.uint8)
    shown = displayed(image)
    expected = image[:, :, :3] if channels > 2 else image[:, :, 0]
    assert np.array_equal(np.asarray(shown.picture), expected)
    assert shown.how == {1: "", 2: "channel 0 of 2"}.get(channels, f"channels 0, 1 and 2 of {channels}")


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_deeper_images_are_stretched_between_percentiles(dtype):
    image = (np.arange(1000).reshape(25, 40, 1) + 3000).astype(dtype)
    image[0, 0], image[-1, -1] = 0, 60000
    shown = displayed(image)
    low, high = np.percentile(image, [2, 98])
    pixels = np.asarray(shown.picture)
    assert shown.how == f"stretched from {low:.4g} to {high:.4g}"
    assert (pixels[0, 0], pixels[-1, -1]) == (0, 255)
    assert abs(int(pixels[12, 20]) - 128) <= 1
