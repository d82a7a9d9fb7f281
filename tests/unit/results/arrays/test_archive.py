"""Archives of arrays: read like ``numpy.load`` reads them, and only what is asked for."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

from segbench.results.arrays.archive import read_arrays

ARRAYS = {
    "whole": np.arange(6, dtype=np.int32).reshape(2, 3),
    "by_column": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "big_endian": np.array([1, 2], dtype=">i8"),
    "number": np.int64(7),
    "none": np.zeros((0, 4)),
    "texts": np.array(["a", "ü/b"]),
    "fields": np.zeros(2, dtype=[("one", "f8"), ("other", "u1")]),
}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_come_back_as_numpy_reads_them(tmp_path, save):
    save(tmp_path / "a.npz", **ARRAYS)
    found = read_arrays(tmp_path / "a.npz")
    assert list(found) == list(ARRAYS)
    with np.load(tmp_path / "a.npz") as expected:
        for name, array in found.items():
            np.testing.assert_array_equal(array, expected[name], strict=True)
            assert array.flags.f_contiguous == expected[name].flags.f_contiguous


def test_arrays_with_headers_of_later_versions_are_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive, archive.open("values.npy", "w") as member:
        np.lib.format.write_array(member, np.arange(3), version=(2, 0))
    np.testing.assert_array_equal(read_arrays(tmp_path / "a.npz")["values"], np.arange(3))


def test_only_wanted_arrays_are_read(tmp_path):
    np.savez(tmp_path / "a.npz", right=np.arange(3), wrong=np.array([None], dtype=object))
    assert list(read_arrays(tmp_path / "a.npz", wanted="right".__eq__)) == ["right"]
    with pytest.raises(ValueError, match="allow_pickle"):
        read_arrays(tmp_path / "a.npz")


def test_a_changed_byte_of_any_array_is_found(tmp_path):
    file = tmp_path / "a.npz"
    np.savez(file, values=np.arange(1_000))
    content = bytearray(file.read_bytes())
    content[4_000] ^= 1
    file.write_bytes(content)
    with pytest.raises(zipfile.BadZipFile, match="CRC"):
        read_arrays(file)


@pytest.mark.parametrize("shape", [(4,), (-1,), (1 << 62,)])
def test_an_array_that_is_longer_than_its_content_is_refused(tmp_path, shape):
    header = f"{{'descr': '<i8', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        array = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(24)
        archive.writestr("values.npy", array)
    with pytest.raises((TypeError, ValueError)):
        read_arrays(tmp_path / "a.npz")
