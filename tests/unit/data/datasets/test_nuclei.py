"""The nuclei data set: made of its published archive from a server, verified image by image."""

from __future__ import annotations

import csv
import os
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segbench.data.datasets import nuclei as module
from segbench.data.datasets.download import download
from segbench.data.datasets.nuclei import nuclei
from segbench.data.datasets.nuclei_archive import digest
from segbench.data.datasets.nuclei_list import Listed, listed
from segbench.errors import DataError, MissingDataError


def image_of(number: int) -> np.ndarray:
    """Return a small picture."""
    return np.random.default_rng(number).integers(0, 256, (12, 16, 3), dtype=np.uint8)


def single_masks(number: int) -> list[np.ndarray]:
    """Return two nuclei of a picture, which do not overlap."""
    first, second = np.zeros((12, 16), np.uint8), np.zeros((12, 16), np.uint8)
    first[1:4, 2 : 5 + number] = 255
    second[7:11, 8:12] = 255
    return [first, second]


def small_list() -> tuple[Listed, ...]:
    """Return a list of three images, one a split."""
    whole = [np.maximum(*single_masks(number)) // 255 for number in range(3)]
    splits = ("train", "val", "test")
    return tuple(
        Listed(split, f"{number:012x}", digest(image_of(number)), digest(whole[number]))
        for number, split in enumerate(splits)
    )


def archive(*, leave_out: int | None = None, other_image: int | None = None, other_mask: int | None = None) -> bytes:
    """Return a ZIP in the published layout, with images that no list names beside."""
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as opened:
        for number in range(4):
            if number == leave_out:
                continue
            identity = f"{number:012x}" + "f" * 52
            pixels = image_of(number + (100 if number == other_image else 0))
            rgba = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
            opened.writestr(f"top/stage1_train/{identity}/images/{identity}.png", png(rgba))
            masks = single_masks(number)[: 1 if number == other_mask else 2]
            for place, mask in enumerate(masks):
                opened.writestr(f"top/stage1_train/{identity}/masks/{place}.png", png(mask))
    return file.getvalue()


def png(pixels: np.ndarray) -> bytes:
    """Return pixels as a PNG file."""
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


class Handler(BaseHTTPRequestHandler):
    """Serves what the server holds."""

    def do_GET(self) -> None:
        content = self.server.content  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def mirror(monkeypatch):
    """A web server on this machine that serves a small archive, and the list of its images."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.content = archive()
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        monkeypatch.setenv("SEGBENCH_NUCLEI_URL", f"http://127.0.0.1:{server.server_port}/fixes.zip")
        monkeypatch.setattr("segbench.data.datasets.nuclei_archive.listed", small_list)
        monkeypatch.setattr(module, "listed", small_list)
        yield server
        server.shutdown()
        thread.join()


def left(folder):
    """What is in a folder, but for the locks."""
    return sorted(path.name for path in folder.iterdir() if path.name != ".locks")


def test_an_archive_becomes_splits_with_one_mask_an_image(mirror, tmp_path):
    dataset = nuclei("val", root=str(tmp_path / "new"), download=True)
    sample = dataset.read(0)
    assert dataset.names == ("000000000001",)
    assert np.array_equal(sample.image, image_of(1))
    assert np.array_equal(sample.label, np.maximum(*single_masks(1)) // 255)
    assert left(tmp_path / "new") == ["images", "masks"]


@pytest.mark.parametrize(
    ("faults", "message"),
    [
        ({"leave_out": 2}, "lacks 1 of 3 images, such as 000000000002"),
        ({"other_image": 0}, "is not the image that was published"),
    ],
)
def test_archives_of_other_content_are_refused_and_leave_nothing(mirror, tmp_path, faults, message):
    mirror.content = archive(**faults)
    with pytest.raises(DataError, match=message):
        download("nuclei", root=tmp_path / "new", progress=lambda *_: None)
    assert left(tmp_path / "new") == []


def test_other_masks_are_told(mirror, tmp_path, caplog):
    mirror.content = archive(other_mask=1)
    download("nuclei", root=tmp_path / "new", progress=lambda *_: None)
    assert "the masks of 1 images are not those that this version knows (000000000001" in caplog.text


def test_what_is_no_zip_is_refused(mirror, tmp_path):
    mirror.content = b"<html>moved</html>"
    with pytest.raises(DataError, match="cannot be unpacked"):
        download("nuclei", root=tmp_path / "new", progress=lambda *_: None)


def test_missing_files_are_problems(mirror, tmp_path):
    download("nuclei", root=tmp_path, progress=lambda *_: None)
    (tmp_path / "masks" / "test" / "000000000002.png").unlink()
    assert "is listed but does not exist" in nuclei("test", root=str(tmp_path)).problems[0]


def test_without_data_the_remedy_is_told(tmp_path):
    with pytest.raises(MissingDataError, match="segbench data download nuclei"):
        nuclei("train", root=str(tmp_path))


def test_the_list_names_every_image_once():
    entries = listed()
    assert {split: sum(entry.split == split for entry in entries) for split in ("train", "val", "test")} == {
        "train": 383,
        "val": 98,
        "test": 160,
    }
    assert len({entry.name for entry in entries}) == len(entries) == 641


@pytest.mark.data
def test_the_real_images_are_those_of_the_list():
    root = Path(os.environ.get("SEGBENCH_DATA", "")) / "nuclei"
    if not os.environ.get("SEGBENCH_DATA") or not root.is_dir():
        pytest.skip("needs nuclei: set SEGBENCH_DATA to a folder that holds nuclei/")
    dataset = nuclei("val", root=str(root))
    known = {entry.name: entry for entry in listed()}
    for index in range(0, len(dataset), 14):
        sample = dataset.read(index)
        assert digest(sample.image) == known[sample.name].image
        assert digest(sample.label) == known[sample.name].mask


def test_the_list_is_plain_csv():
    file = Path(module.__file__).with_name("nuclei_splits.csv")
    with file.open(encoding="utf-8") as opened:
        assert next(csv.reader(opened)) == ["split", "name", "image", "mask"]
