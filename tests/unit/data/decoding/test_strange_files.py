"""Claims about files that are not what their names say, or more or less than an image."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import tifffile
from PIL import Image

from segbench.data.datasets.folder import folder
from segbench.data.decoding.decoding import SeveralPagesError
from segbench.data.decoding.images import read_bands, read_image
from segbench.data.masks.stored import read_stored
from segbench.errors import DataError

READERS = [read_image, read_bands, read_stored]
SUFFIXES = ("png", "jpg", "tif", "webp", "gif", "bmp")


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_empty_file_is_named_as_empty(tmp_path, read, suffix):
    file = tmp_path / f"none.{suffix}"
    file.write_bytes(b"")
    with pytest.raises(DataError, match=rf"none\.{suffix}: is empty \(0 bytes\)"):
        read(file)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_text_that_calls_itself_an_image_is_named(tmp_path, read, suffix):
    file = tmp_path / f"text.{suffix}"
    file.write_text("<!DOCTYPE html><title>not found</title>")
    with pytest.raises(DataError, match=rf"text\.{suffix}: cannot be read as an image"):
        read(file)


@pytest.mark.parametrize("real", ["png", "bmp", "tif"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_wrong_extension_changes_no_pixel(tmp_path, real, suffix):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / f"right.{real}")
    shutil.copyfile(tmp_path / f"right.{real}", tmp_path / f"wrong.{suffix}")
    for read in (read_image, read_bands):
        assert np.array_equal(read(tmp_path / f"wrong.{suffix}"), pixels)


def animated(file, frames):
    first, *others = (Image.fromarray(frame) for frame in frames)
    lossless = {"lossless": True} if file.suffix == ".webp" else {}
    first.save(file, save_all=True, append_images=others, **lossless)
    return file


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("suffix", ["gif", "png", "webp"])
def test_an_animation_is_refused_and_not_taken_for_its_first_frame(tmp_path, read, suffix):
    frames = [np.full((8, 8, 3), value, np.uint8) for value in (0, 90, 200)]
    file = animated(tmp_path / f"moves.{suffix}", frames)
    with pytest.raises(SeveralPagesError, match=rf"moves\.{suffix}: holds 3 pages, .* dataset\.pages: each"):
        read(file)


@pytest.mark.parametrize("suffix", ["gif", "png", "webp"])
def test_the_frames_of_an_animation_are_samples_where_that_is_asked(tmp_path, suffix):
    frames = [np.full((8, 8, 3), value, np.uint8) for value in (0, 90, 200)]
    for kind in ("images", "masks"):
        (tmp_path / kind / "train").mkdir(parents=True)
    animated(tmp_path / "images" / "train" / f"a.{suffix}", frames)
    masks = [Image.fromarray(np.full((8, 8), value, np.uint8)) for value in (0, 1, 1)]
    masks[0].save(tmp_path / "masks" / "train" / "a.tif", save_all=True, append_images=masks[1:])
    split = folder("train", root=str(tmp_path), classes=["x", "y"], pages="each")
    assert list(split.names) == ["a#1", "a#2", "a#3"]
    assert [split.read(index).image[0, 0].tolist() for index in range(3)] == [[0] * 3, [90] * 3, [200] * 3]
    assert [split.read(index).label[0, 0] for index in range(3)] == [0, 1, 1]


def test_an_image_of_one_pixel_is_read(tmp_path):
    for kind, pixels in (("images", np.full((1, 1, 3), 7, np.uint8)), ("masks", np.ones((1, 1), np.uint8))):
        (tmp_path / kind / "train").mkdir(parents=True)
        Image.fromarray(pixels).save(tmp_path / kind / "train" / "a.png")
    sample = folder("train", root=str(tmp_path), classes=["x", "y"]).read(0)
    assert sample.image.tolist() == [[[7, 7, 7]]]
    assert sample.label.tolist() == [[1]]


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_cmyk_is_no_mask(tmp_path, suffix):
    Image.new("CMYK", (4, 4)).save(tmp_path / f"mask.{suffix}")
    with pytest.raises(DataError, match=rf"mask\.{suffix}: .*; save (it|the mask) as a grey"):
        read_stored(tmp_path / f"mask.{suffix}")


def link_to_itself(folder):
    (folder / "loop.png").symlink_to("loop.png")
    return folder / "loop.png"


def path_through_a_file(folder):
    (folder / "file.txt").write_text("text")
    return folder / "file.txt" / "a.png"


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    "place", [link_to_itself, path_through_a_file, lambda folder: folder / f"{'n' * 300}.png"], ids=["1", "2", "3"]
)
def test_what_the_system_cannot_even_look_at_is_named(tmp_path, read, place):
    with pytest.raises(DataError, match=r"\.png: cannot be read as an image"):
        read(place(tmp_path))


def test_a_lack_of_memory_is_not_called_a_damaged_image(tmp_path, monkeypatch):
    """Read by tifffile, since Pillow has no images of three 16-bit bands."""
    tifffile.imwrite(tmp_path / "deep.tif", np.zeros((4, 4, 3), np.uint16))

    def short(*_arguments, **_options):
        raise MemoryError

    monkeypatch.setattr("tifffile.TiffPage.asarray", short)
    with pytest.raises(MemoryError):
        read_bands(tmp_path / "deep.tif")
