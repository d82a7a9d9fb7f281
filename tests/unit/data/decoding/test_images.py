import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from segbench.data.decoding.images import read_image
from segbench.errors import DataError


@pytest.fixture
def colors():
    return np.array([[[10, 20, 30], [200, 100, 50]], [[0, 0, 0], [255, 255, 255]]], dtype=np.uint8)


def test_rgb_comes_back_unchanged(tmp_path, colors, save):
    assert np.array_equal(read_image(save(colors, tmp_path / "a.png")), colors)


def test_grey_is_repeated(tmp_path, save):
    image = read_image(save([[0, 7], [128, 255]], tmp_path / "a.png"))
    assert image[..., 0].tolist() == image[..., 1].tolist() == image[..., 2].tolist() == [[0, 7], [128, 255]]


@pytest.mark.parametrize("mode", ["RGBA", "P", "LA", "1", "PA"])
def test_other_modes_become_rgb(tmp_path, colors, mode):
    suffix = "tif" if mode == "PA" else "png"
    picture = Image.fromarray(colors).convert("P" if mode == "PA" else mode)
    picture.save(tmp_path / f"a.{suffix}")
    image = read_image(tmp_path / f"a.{suffix}")
    assert image.shape == (2, 2, 3)
    assert image[1, 1].tolist() == [255, 255, 255]
    if mode == "RGBA":
        assert np.array_equal(image, colors)


def test_alpha_is_dropped_not_blended(tmp_path, colors, save):
    with_alpha = np.concatenate([colors, np.full((2, 2, 1), 3, dtype=np.uint8)], axis=2)
    assert np.array_equal(read_image(save(with_alpha, tmp_path / "a.png")), colors)


def test_a_transparent_palette_keeps_its_colours(tmp_path, colors):
    picture = Image.fromarray(colors).quantize(4)
    picture.save(tmp_path / "a.png", transparency=0)
    assert np.array_equal(read_image(tmp_path / "a.png"), np.array(picture.convert("RGB")))


def test_cmyk_becomes_rgb(tmp_path):
    Image.new("CMYK", (4, 4), (0, 0, 0, 0)).save(tmp_path / "a.jpg")
    assert read_image(tmp_path / "a.jpg").min() >= 250


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
@pytest.mark.parametrize("share", [0.02, 0.5])
def test_a_truncated_file_is_named(tmp_path, save, suffix, share):
    file = save(np.random.default_rng(0).integers(0, 256, (40, 40, 3)), tmp_path / f"torn.{suffix}")
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(DataError, match=rf"torn\.{suffix}: cannot be read as an image"):
        read_image(file)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_garbage_is_always_a_data_error(tmp_path_factory, content):
    file = tmp_path_factory.mktemp("garbage") / "a.png"
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    with pytest.raises(DataError, match=r"a\.png"):
        read_image(file)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"gone\.png: there is no such file"):
        read_image(tmp_path / "gone.png")
