"""Claims about the file of per-image confusion matrices."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segbench.errors import StoreError
from segbench.results.arrays.matrices import ImageMatrices, load_matrices, save_matrices

GOLDEN = Path(__file__).parents[3] / "golden"


def example(images: int = 3, classes: int = 4, seed: int = 0) -> ImageMatrices:
    generator = np.random.default_rng(seed)
    counts = generator.integers(0, 10**10, (images, classes, classes)) * (generator.random((images, classes, 1)) < 0.4)
    void = generator.integers(0, 10**10, (images, classes)) * (generator.random((images, classes)) < 0.4)
    names = tuple(f"image {index} ü.png" for index in range(images))
    return ImageMatrices(names, counts.astype(np.int64), void.astype(np.int64))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(images=st.integers(0, 5), classes=st.integers(1, 9), seed=st.integers(0, 2**32))
def test_what_is_saved_is_loaded(tmp_path, images, classes, seed):
    saved = example(images, classes, seed)
    save_matrices(tmp_path / "confusion.npz", saved)
    loaded = load_matrices(tmp_path / "confusion.npz")
    assert loaded.names == saved.names
    assert loaded.num_classes == classes
    assert loaded.matrices.dtype == np.int64
    np.testing.assert_array_equal(loaded.matrices, saved.matrices)
    assert loaded.void_predicted.dtype == np.int64
    np.testing.assert_array_equal(loaded.void_predicted, saved.void_predicted)


def test_a_void_row_that_is_not_known_stays_unknown_and_one_of_no_void_pixels_stays_0(tmp_path):
    file = tmp_path / "confusion.npz"
    for void in (None, np.zeros((3, 4), np.int64)):
        save_matrices(file, ImageMatrices(("a", "b", "c"), np.ones((3, 4, 4), np.int64), void))
        loaded = load_matrices(file)
        np.testing.assert_array_equal(loaded.void_predicted, void)
        np.testing.assert_array_equal(loaded.total_void_predicted, None if void is None else np.zeros(4))
        assert ("void_count" in np.load(file)) == (void is not None)


@pytest.mark.parametrize(("version", "known"), [("run-1-first", False), ("run-1-last", False), ("run-2-first", True)])
def test_files_of_earlier_versions_are_read_with_an_unknown_void_row(version, known):
    (file,) = (GOLDEN / version).glob("*/*/confusion.npz")
    assert (load_matrices(file).void_predicted is not None) is known


def test_the_file_is_read_without_segbench_as_documented(tmp_path):
    saved = example()
    save_matrices(tmp_path / "confusion.npz", saved)
    with np.load(tmp_path / "confusion.npz") as file:
        matrices = np.zeros((file["names"].size, file["num_classes"], file["num_classes"]), np.int64)
        matrices[file["image"], file["label"], file["prediction"]] = file["count"]
        void_predicted = np.zeros((file["names"].size, file["num_classes"]), np.int64)
        void_predicted[file["void_image"], file["void_prediction"]] = file["void_count"]
        void = ["void_count", "void_image", "void_prediction"]
        assert sorted(file.files) == ["count", "image", "label", "names", "num_classes", "prediction", *void]
        assert not any(file[key].dtype.hasobject for key in file.files)
    np.testing.assert_array_equal(matrices, saved.matrices)
    np.testing.assert_array_equal(void_predicted, saved.void_predicted)


def test_total_is_the_sum_over_images():
    matrices = ImageMatrices(("a", "b"), np.array([[[1, 2], [3, 4]], [[10, 0], [0, 2**40]]]))
    assert matrices.total.tolist() == [[11, 2], [3, 2**40 + 4]]
    assert ImageMatrices((), np.zeros((0, 2, 2), np.int64)).total.tolist() == [[0, 0], [0, 0]]


def test_only_cells_that_are_not_0_take_space(tmp_path):
    matrices = np.zeros((50, 150, 150), np.int64)
    matrices[:, 3, 7] = 5
    save_matrices(tmp_path / "confusion.npz", ImageMatrices(tuple(map(str, range(50))), matrices))
    assert (tmp_path / "confusion.npz").stat().st_size < 4000


def test_equal_matrices_make_equal_files(tmp_path):
    for name in ("a", "b"):
        save_matrices(tmp_path / name, example())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(StoreError, match=r"none\.npz: there is no such file"):
        load_matrices(tmp_path / "none.npz")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.99])
def test_a_file_cut_short_is_named_as_damaged(tmp_path, share):
    path = tmp_path / "confusion.npz"
    save_matrices(path, example())
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(StoreError, match=r"confusion\.npz: is damaged"):
        load_matrices(path)


def unclosed(header: bytes) -> bytes:
    """Return an array of version 1 whose header has no end."""
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header


@pytest.mark.parametrize("content", [b"no array", unclosed(b"{'descr': '<i4', 'shape': (\n"), unclosed(b'"""\n')])
def test_an_array_that_is_none_is_named_as_damaged(tmp_path, content):
    path = tmp_path / "confusion.npz"
    save_matrices(path, example())
    with zipfile.ZipFile(path) as whole:
        members = {name: whole.read(name) for name in whole.namelist()}
    with zipfile.ZipFile(path, "w") as damaged:
        for name, member in (members | {"image.npy": content}).items():
            damaged.writestr(name, member)
    with pytest.raises(StoreError, match=r"confusion\.npz: is damaged"):
        load_matrices(path)


def test_a_changed_byte_is_found_or_harmless(tmp_path):
    path, saved = tmp_path / "confusion.npz", example()
    save_matrices(path, saved)
    content = path.read_bytes()
    refused = 0
    for position in range(0, len(content), 7):
        path.write_bytes(content[:position] + bytes([content[position] ^ 0x55]) + content[position + 1 :])
        try:
            loaded = load_matrices(path)
        except StoreError as error:
            refused += str(path) in str(error)
        else:
            assert loaded.names == saved.names
            np.testing.assert_array_equal(loaded.matrices, saved.matrices)
            np.testing.assert_array_equal(loaded.void_predicted, saved.void_predicted)
    assert refused > 50


WRONG = {
    "a lacking array": ({"count": None}, "lacks an array"),
    "cells of different length": ({"count": np.array([1, 2])}, "differ in length"),
    "an image out of range": ({"image": np.array([2])}, "image holds a value outside"),
    "a negative class": ({"label": np.array([-1])}, "label holds a value outside"),
    "a class out of range": ({"prediction": np.array([3])}, "prediction holds a value outside"),
    "a negative count": ({"count": np.array([-5])}, "count holds a value outside"),
    "a count beyond all pixels": ({"count": np.array([2**62])}, "count holds a value outside"),
    "fractions of pixels": ({"count": np.array([0.5])}, "count holds float64"),
    "names that are numbers": ({"names": np.array([1, 2])}, "names is no list of texts"),
    "no classes": ({"num_classes": np.array(0)}, "num_classes"),
    "names twice": ({"names": np.array(["a", "a"])}, "listed twice: a"),
    "a cell twice": (
        {"image": [0, 0], "label": [1, 1], "prediction": [1, 1], "count": np.array([1, 1])},
        "cell is listed twice",
    ),
    "void cells without counts": ({"void_count": None}, "lacks an array: .*void_count"),
    "void cells of different length": ({"void_image": np.array([0, 1])}, "void_image, .* differ in length"),
    "a void class out of range": ({"void_prediction": np.array([3])}, "void_prediction holds a value outside"),
    "a negative void count": ({"void_count": np.array([-1])}, "void_count holds a value outside"),
    "a void cell twice": (
        {"void_image": [0, 0], "void_prediction": [1, 1], "void_count": np.array([1, 1])},
        "cell is listed twice",
    ),
    "pickles": ({"names": np.array(["a", None], dtype=object)}, "allow_pickle"),
}


@pytest.mark.parametrize(("changes", "message"), WRONG.values(), ids=list(WRONG))
def test_a_file_of_another_layout_is_refused_with_its_name(tmp_path, changes, message):
    cells = {"image": np.array([1]), "label": np.array([0]), "prediction": np.array([2]), "count": np.array([9])}
    void = {"void_image": np.array([1]), "void_prediction": np.array([2]), "void_count": np.array([4])}
    arrays = cells | void | {"names": np.array(["a", "b"]), "num_classes": np.array(3)}
    path = tmp_path / "confusion.npz"
    np.savez(path, **arrays)
    assert load_matrices(path).matrices[1, 0, 2] == 9
    assert load_matrices(path).void_predicted[1, 2] == 4
    np.savez(path, **{key: value for key, value in (arrays | changes).items() if value is not None})
    with pytest.raises(StoreError, match=rf"confusion\.npz: is damaged \(.*{message}"):
        load_matrices(path)


@pytest.mark.parametrize("void", [np.zeros((1, 2), np.int64), np.zeros((1, 3), np.int32), np.zeros(3, np.int64)])
def test_a_void_row_that_does_not_fit_its_matrices_is_refused(void):
    with pytest.raises(StoreError, match="the void row is"):
        ImageMatrices(("a",), np.zeros((1, 3, 3), np.int64), void)


def test_a_folder_that_does_not_exist_cannot_be_written_to(tmp_path):
    with pytest.raises(StoreError, match="cannot be written"):
        save_matrices(tmp_path / "none" / "confusion.npz", example())


@pytest.mark.parametrize(
    ("names", "matrices", "message"),
    [
        (("a",), np.zeros((2, 3, 3), np.int64), "1 images with matrices of shape"),
        (("a",), np.zeros((1, 3, 2), np.int64), "expected"),
        (("a",), np.zeros((3, 3), np.int64), "expected"),
        (("a",), np.zeros((1, 3, 3), np.int32), "int64"),
        (("a", "a"), np.zeros((2, 3, 3), np.int64), "listed twice: a"),
    ],
)
def test_matrices_that_do_not_fit_their_images_are_refused(names, matrices, message):
    with pytest.raises(StoreError, match=message):
        ImageMatrices(names, matrices)
