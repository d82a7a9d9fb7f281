import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from segbench.data.reading import (
    ColorLabels,
    IndexLabels,
    check_labels,
    read_image,
    read_index_label,
    read_pair,
)
from segbench.errors import DataError


@pytest.fixture
def colors():
    return np.array([[[10, 20, 30], [200, 100, 50]], [[0, 0, 0], [255, 255, 255]]], dtype=np.uint8)


def test_rgb_comes_back_unchanged(tmp_path, colors, save):
    assert np.array_equal(read_image(save(colors, tmp_path / "a.png")), colors)


def test_grey_is_repeated(tmp_path, save):
    image = read_image(save([[0, 7], [128, 255]], tmp_path / "a.png"))
    assert image[..., 0].tolist() == image[..., 1].tolist() == image[..., 2].tolist() == [[0, 7], [128, 255]]


def test_sixteen_bit_grey_keeps_its_high_byte(tmp_path, save):
    image = read_image(save(np.array([[0, 255, 256, 65535]], dtype=np.uint16), tmp_path / "a.png"))
    assert image[0, :, 1].tolist() == [0, 0, 1, 255]


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


def test_floating_point_images_are_refused(tmp_path):
    Image.new("F", (4, 4), 0.5).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match=r"a\.tif: holds floating-point"):
        read_image(tmp_path / "a.tif")


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
        read_index_label(tmp_path / "gone.png")


@settings(max_examples=30, deadline=None)
@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9)), st.booleans())
def test_index_labels_come_back_as_stored(tmp_path_factory, label, palette):
    file = tmp_path_factory.mktemp("labels") / "a.png"
    picture = Image.fromarray(label)
    if palette:
        picture.putpalette([value % 7 for value in range(768)])
    picture.save(file)
    assert np.array_equal(read_index_label(file), label)


def test_sixteen_bit_labels_are_read_when_they_fit(tmp_path, save):
    assert read_index_label(save(np.array([[3, 255]], dtype=np.uint16), tmp_path / "a.png")).tolist() == [[3, 255]]
    with pytest.raises(DataError, match="holds label 256"):
        read_index_label(save(np.array([[3, 256]], dtype=np.uint16), tmp_path / "b.png"))


def test_labels_with_alpha_lose_it(tmp_path):
    Image.fromarray(np.array([[[2, 255], [1, 9]]], dtype=np.uint8)).save(tmp_path / "a.png")
    assert read_index_label(tmp_path / "a.png").tolist() == [[2, 1]]


def test_a_colour_label_without_palette_is_refused(tmp_path, colors, save):
    with pytest.raises(DataError, match="is a colour image"):
        read_index_label(save(colors, tmp_path / "a.png"))


def test_index_labels_are_renamed(tmp_path, save):
    file = save([[0, 11, 2, 255]], tmp_path / "a.png")
    assert IndexLabels({11: 255})(file).tolist() == [[0, 255, 2, 255]]


def test_colours_become_classes(tmp_path, save):
    decode = ColorLabels(((255, 0, 0), (0, 0, 9)), ignored=(7, 7, 7), indices=IndexLabels({}))
    file = save([[[0, 0, 9], [255, 0, 0]], [[7, 7, 7], [0, 0, 9]]], tmp_path / "a.png")
    assert decode(file).tolist() == [[1, 0], [255, 1]]
    assert decode(save([[1, 0]], tmp_path / "b.png")).tolist() == [[1, 0]]


def test_strange_colours_are_named(tmp_path, save):
    decode = ColorLabels(((255, 0, 0),), ignored=None, indices=IndexLabels({}))
    with pytest.raises(DataError, match=r"a\.png: 2 colours are not in the palette: \(0, 0, 0\), \(255, 0, 1\)"):
        decode(save([[[255, 0, 0], [255, 0, 1], [0, 0, 0]]], tmp_path / "a.png"))


def test_a_label_of_another_size_is_refused(tmp_path, save):
    image, label = save(np.zeros((4, 6, 3)), tmp_path / "i.png"), save(np.zeros((6, 4)), tmp_path / "l.png")
    with pytest.raises(DataError, match=r"l\.png: is 6x4 pixels .* but its image .*i\.png 4x6"):
        read_pair("x", image, label, num_classes=2, decoder=IndexLabels({}))


@given(hnp.arrays(np.uint8, (3, 4)), st.integers(1, 255))
def test_exactly_the_labels_outside_the_classes_are_refused(label, num_classes):
    strange = sorted({int(value) for value in label.ravel() if value >= num_classes and value != 255})
    if not strange:
        assert check_labels(label, num_classes=num_classes, source="a.png") is None
        return
    with pytest.raises(DataError, match=f"a.png: holds label {', '.join(map(str, strange))}, but"):
        check_labels(label, num_classes=num_classes, source="a.png")
