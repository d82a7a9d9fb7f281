import hashlib
import shutil
import time
from pathlib import Path

import pytest

from segbench.config import files
from segbench.data.cache.digests import file_digests
from segbench.errors import DataError


@pytest.fixture
def data(tmp_path):
    """Files that were touched long enough ago for a later change to show."""
    paths = [tmp_path / "data" / name for name in ("a.png", "b.png", "ünïcode.png")]
    for file in paths:
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(file.name.encode())
    return paths


@pytest.fixture
def later(monkeypatch):
    """Let ten seconds pass."""
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now + 10**10)


@pytest.fixture
def reads(monkeypatch):
    """The files that were read, in any order."""
    seen, read = [], files.read_digest
    monkeypatch.setattr(files, "read_digest", lambda path: (seen.append(Path(path).name), read(path))[1])
    return seen


def expected(paths):
    return [hashlib.sha256(file.read_bytes()).hexdigest() for file in paths]


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
