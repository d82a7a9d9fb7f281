import errno
import os
import pickle

import numpy as np
import pytest

from segbench.data.cache.datasets import DiskCache, MemoryCache
from segbench.data.cache.files import make_room, read_index, write_cache
from segbench.errors import DataError


def same(cached, dataset):
    pairs = [(cached.read(index), dataset.samples[index]) for index in range(len(dataset))]
    return all(
        a.name == b.name and np.array_equal(a.image, b.image) and np.array_equal(a.label, b.label) for a, b in pairs
    )


def test_memory_decodes_every_image_once(arrays):
    dataset = arrays(5)
    cached = MemoryCache(dataset)
    cached.prepare()
    assert dataset.reads == 5
    assert same(cached, dataset)
    assert dataset.reads == 5
    assert cached.fingerprint() == dataset.fingerprint()
    assert cached.info is dataset.info


def test_disk_decodes_every_image_once_for_all_processes(arrays, mixed_sizes, tmp_path):
    cached = DiskCache(mixed_sizes, folder=tmp_path)
    assert mixed_sizes.reads == 4
    assert same(cached, mixed_sizes)
    assert same(DiskCache(mixed_sizes, folder=tmp_path), mixed_sizes)
    assert same(pickle.loads(pickle.dumps(cached)), mixed_sizes)
    assert mixed_sizes.reads == 4
    assert [path.name for path in tmp_path.iterdir()] == [cached.file.name]
    assert cached.cache_key() == mixed_sizes.cache_key()


def test_a_sample_from_disk_may_be_changed_without_harm(arrays, tmp_path):
    dataset = arrays(2)
    cached = DiskCache(dataset, folder=tmp_path)
    cached.read(0).image[:] = 0
    assert same(cached, dataset)


def test_a_pickled_cache_does_not_carry_the_images(arrays, tmp_path):
    dataset = arrays(40, size=(60, 60))
    cached = DiskCache(dataset, folder=tmp_path)
    cached.read(0)
    dataset.samples = []
    assert len(pickle.dumps(cached)) < 10_000 < cached.file.stat().st_size


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped-first", "flipped-index", "missing-end"])
def test_a_damaged_cache_is_rebuilt(arrays, tmp_path, damage):
    dataset = arrays(5)
    file = DiskCache(dataset, folder=tmp_path).file
    content = bytearray(file.read_bytes())
    places = {"flipped-first": 0, "flipped-index": len(content) - 40}
    if damage in places:
        content[places[damage]] ^= 0xFF
    else:
        del content[{"cut": len(content) // 2, "empty": 0, "missing-end": len(content) - 1}[damage] :]
    file.write_bytes(content)
    assert read_index(file, 5, 4) is None
    assert same(DiskCache(dataset, folder=tmp_path), dataset)
    assert dataset.reads == 10


def test_a_damaged_sample_is_decoded_anew_and_the_file_is_not_used_again(arrays, tmp_path, caplog):
    dataset = arrays(5)
    cached = DiskCache(dataset, folder=tmp_path)
    content = bytearray(cached.file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    cached.file.write_bytes(content)
    again = DiskCache(dataset, folder=tmp_path)
    assert dataset.reads == 5  # nothing of it is looked at before it is needed
    assert same(again, dataset)
    assert dataset.reads == 6
    assert caplog.text.count("is damaged at") == 1
    assert not again.file.exists()
    made_anew = DiskCache(dataset, folder=tmp_path)
    assert same(made_anew, dataset)
    assert dataset.reads == 11
    assert same(again, dataset)  # still on the old file
    assert made_anew.file.exists()
    assert caplog.text.count("is damaged at") == 1


def test_a_cache_that_is_removed_under_a_run_is_decoded_anew(arrays, tmp_path):
    dataset = arrays(3)
    opened, unopened = (DiskCache(dataset, folder=tmp_path) for _ in range(2))
    opened.read(0)
    opened.file.unlink()
    assert same(opened, dataset)
    assert dataset.reads == 3
    assert same(unopened, dataset)
    assert dataset.reads == 6


def test_the_caches_that_were_not_used_for_longest_make_room(arrays, tmp_path, caplog):
    files = [DiskCache(arrays(count), folder=tmp_path).file for count in (5, 6, 7)]
    (tmp_path / "of somebody else.raw").write_bytes(bytes(10_000))
    sizes = [file.stat().st_size for file in files]
    assert not make_room(tmp_path, 101, limit=sum(sizes) + 100)  # all were used just now
    for age, file in enumerate((files[1], files[0], files[2])):
        os.utime(file, (1000 + age, 1000 + age))
    assert make_room(tmp_path, 100, limit=sum(sizes) + 100)
    assert all(file.exists() for file in files)
    assert make_room(tmp_path, 101, limit=sum(sizes) + 100)
    assert [file.exists() for file in files] == [True, False, True]
    assert "to make room" in caplog.text
    assert not make_room(tmp_path, 101, limit=100)
    assert [file.exists() for file in files] == [True, False, True]
    assert make_room(tmp_path, 100, limit=100)
    assert [path.name for path in tmp_path.iterdir()] == ["of somebody else.raw"]
    assert make_room(tmp_path / "not there", 1, limit=1)


def test_a_cache_of_another_length_is_not_taken(arrays, tmp_path):
    write_cache(tmp_path / "a.raw", arrays(5))
    assert read_index(tmp_path / "a.raw", 6, 4) is None
    assert len(read_index(tmp_path / "a.raw", 5, 4)) == 5


def test_a_full_disk_is_a_clear_error_and_leaves_nothing(arrays, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("segbench.data.cache.files._write_samples", full)
    with pytest.raises(DataError, match=r"No space left on device; free space there, set loader.cache_folder"):
        DiskCache(arrays(3), folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_unreadable_image_leaves_no_cache(arrays, tmp_path):
    with pytest.raises(DataError, match=r"image-002\.png"):
        DiskCache(arrays(3, broken=(2,)), folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(arrays, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"file/sub/.*cannot be written"):
        DiskCache(arrays(3), folder=tmp_path / "file" / "sub")


def test_the_users_cache_folder_is_the_default(arrays, tmp_path, monkeypatch):
    monkeypatch.setattr("segbench.data.cache.datasets.user_cache_folder", lambda: tmp_path / "cache")
    assert DiskCache(arrays(2)).file.parent == tmp_path / "cache"
