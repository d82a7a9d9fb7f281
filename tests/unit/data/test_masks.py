import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from segbench.data.masks import ColorLabels, IndexLabels, read_index_label
from segbench.errors import DataError


@pytest.fixture
def colors():
    return np.array([[[10, 20, 30], [200, 100, 50]], [[0, 0, 0], [255, 255, 255]]], dtype=np.uint8)


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
