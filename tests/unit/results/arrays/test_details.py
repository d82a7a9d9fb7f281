"""The file of counts beside confusion matrices: written alike, read back, and refused when damaged."""

from __future__ import annotations

import numpy as np
import pytest

from segbench.errors import StoreError
from segbench.results.arrays.details import ImageDetails, load_details, save_details

DETAILS = ImageDetails(("a", "ü/b"), {"boundary_predicted": np.array([[1, 2], [3, 4]]), "other": np.array([0.5, 1.5])})


def test_counts_come_back_as_they_were_written(tmp_path):
    save_details(tmp_path / "details.npz", DETAILS)
    found = load_details(tmp_path / "details.npz")
    assert found is not None
    assert found.names == DETAILS.names
    assert found.arrays.keys() == DETAILS.arrays.keys()
    assert all(np.array_equal(found.arrays[name], DETAILS.arrays[name]) for name in DETAILS.arrays)
    assert found.part("boundary_").keys() == {"predicted"}


def test_only_the_arrays_of_a_prefix_are_read_where_no_others_are_used(tmp_path):
    save_details(tmp_path / "details.npz", DETAILS)
    found = load_details(tmp_path / "details.npz", "boundary_")
    assert found is not None
    assert found.names == DETAILS.names
    assert found.arrays.keys() == {"boundary_predicted"}


def test_equal_counts_give_equal_files(tmp_path):
    for name in "ab":
        save_details(tmp_path / f"{name}.npz", DETAILS)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_a_run_without_the_file_has_no_details(tmp_path):
    assert load_details(tmp_path / "details.npz") is None


@pytest.mark.parametrize("keep", [0, 1, 40, -30])
def test_a_torn_file_is_named_with_what_to_do(tmp_path, keep):
    file = tmp_path / "details.npz"
    save_details(file, DETAILS)
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(StoreError, match=r"details\.npz: is damaged .*delete the run's folder"):
        load_details(file)


def test_arrays_of_another_number_of_images_are_refused(tmp_path):
    with pytest.raises(StoreError, match="where there are 1 images"):
        ImageDetails(("a",), {"other": np.zeros(2)})
    np.savez(tmp_path / "details.npz", names=np.array(["a"]), other=np.zeros(2))
    with pytest.raises(StoreError, match="is damaged"):
        load_details(tmp_path / "details.npz")
    np.savez(tmp_path / "details.npz", other=np.zeros(2))
    with pytest.raises(StoreError, match="lacks an array: names"):
        load_details(tmp_path / "details.npz")


def test_a_folder_that_is_not_there_cannot_be_written(tmp_path):
    with pytest.raises(StoreError, match="cannot be written"):
        save_details(tmp_path / "none" / "details.npz", DETAILS)
