import hashlib
import json
import os
import shutil
import time
from pathlib import Path

import pytest

from segbench.data.cache import digests
from segbench.data.cache.digests import file_digests, read_kept, write_kept
from segbench.errors import DataError


@pytest.fixture
def data(tmp_path):
    """Files that were touched long enough ago for a later change to show."""
    files = [tmp_path / "data" / name for name in ("a.png", "b.png", "ünïcode.png")]
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(file.name.encode())
    return files


@pytest.fixture
def later(monkeypatch):
    """Let ten seconds pass."""
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now + 10**10)


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Keep digests of however little data, below a cache folder of this test's own."""
    monkeypatch.setattr(digests, "WORTH_KEEPING_BYTES", 1)
    monkeypatch.setattr(digests, "user_cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache" / "digests"


@pytest.fixture
def reads(monkeypatch):
    """The files that were read, in any order."""
    seen, read = [], digests.read_digest
    monkeypatch.setattr(digests, "read_digest", lambda path: (seen.append(Path(path).name), read(path))[1])
    return seen


@pytest.fixture
def another_process(monkeypatch):
    """Return a function that forgets what this process remembers."""
    return lambda: monkeypatch.setattr(digests, "_in_this_process", {})


def expected(files):
    return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]


def test_digests_are_those_of_the_content_in_the_order_of_the_files(data):
    assert file_digests(data) == expected(data)
    assert file_digests([*data[::-1], data[0]]) == [*expected(data)[::-1], expected(data)[0]]
    assert file_digests([]) == []


def test_unchanged_files_are_read_once(data, later, reads):
    assert file_digests(data) == file_digests(data)
    assert sorted(reads) == ["a.png", "b.png", "ünïcode.png"]


def test_a_change_of_equal_size_right_after_reading_is_seen(data):
    for content in (b"first", b"other") * 20:
        data[0].write_bytes(content)
        assert file_digests(data) == expected(data)


def test_little_data_is_kept_nowhere(data, later, tmp_path, monkeypatch):
    monkeypatch.setattr(digests, "user_cache_folder", lambda: tmp_path / "cache")
    file_digests(data)
    assert not (tmp_path / "cache").exists()


def test_other_processes_look_up_what_was_kept(data, later, kept, reads, another_process):
    first = file_digests(data)
    assert len(list(kept.iterdir())) == 1
    another_process()
    assert file_digests(data) == first == expected(data)
    assert len(reads) == 3
    another_process()
    data[1].write_bytes(b"B")
    assert file_digests(data) == expected(data)
    assert sorted(reads) == ["a.png", "b.png", "b.png", "ünïcode.png"]


def test_what_was_kept_of_other_splits_of_the_folder_stays(data, later, kept, reads, another_process):
    for part in (data[:1], data[1:]):
        another_process()
        file_digests(part)
    another_process()
    file_digests(data)
    assert len(reads) == 3


def test_recently_touched_files_are_not_kept(data, kept):
    file_digests(data)
    assert read_kept(next(kept.iterdir())) == {}


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped", "binary", "other-format", "gone"])
def test_a_damaged_file_of_digests_costs_reading_and_nothing_else(data, later, kept, reads, another_process, damage):
    file_digests(data)
    (file,) = kept.iterdir()
    content = file.read_bytes()
    wrong = content.replace(expected(data)[0].encode(), b"0" * 64)
    assert wrong != content
    damaged = {
        "cut": content[: len(content) // 2],
        "empty": b"",
        "flipped": wrong,
        "binary": b"\xff\x00" + content,
        "other-format": content.replace(b"digests-1", b"digests-9"),
    }
    file.unlink() if damage == "gone" else file.write_bytes(damaged[damage])
    another_process()
    assert file_digests(data) == expected(data)
    assert len(reads) == 6
    assert len(read_kept(file)) == 3, "and it is whole again"


def test_a_cache_folder_that_cannot_be_made_disables_keeping(data, later, tmp_path, kept, another_process):
    (tmp_path / "cache").write_text("a file in the place of the folder")
    assert file_digests(data) == expected(data)
    another_process()
    assert file_digests(data) == expected(data)


def test_a_person_without_a_home_has_nothing_kept(data, later, monkeypatch, kept, another_process):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(digests, "user_cache_folder", homeless)
    assert file_digests(data) == expected(data)
    assert not kept.exists()


def test_writing_leaves_no_temporary_files(data, later, kept):
    file_digests(data)
    assert [path.suffix for path in kept.iterdir()] == [".json"]


def test_names_that_are_no_text_are_kept(tmp_path, kept):
    known = {os.fsdecode(b"/data/\xff.png"): digests.Known(digests.FileState(1, 2, 3), "d")}
    write_kept(tmp_path / "k.json", known)
    assert read_kept(tmp_path / "k.json") == known
    assert json.loads((tmp_path / "k.json").read_text().partition("\n")[2])


@pytest.mark.parametrize("harm", ["missing", "folder"])
def test_a_file_that_cannot_be_read_is_named(data, harm):
    data[1].unlink()
    if harm == "folder":
        data[1].mkdir()
    with pytest.raises(DataError, match=r"b\.png: cannot be read: (No such file|Is a directory)"):
        file_digests(data)


def test_a_copy_of_the_data_is_read_itself(data, later, tmp_path, reads):
    file_digests(data)
    shutil.copytree(tmp_path / "data", tmp_path / "copy")
    (tmp_path / "copy" / "a.png").write_bytes(b"X.png")
    copies = [tmp_path / "copy" / file.name for file in data]
    assert file_digests(copies) == expected(copies)
    assert len(reads) == 6
