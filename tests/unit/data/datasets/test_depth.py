"""What 8-bit RGB cannot hold is read at full depth, or refused with the key to give; it is never lost in silence."""

import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from segbench.data.datasets.folder import folder
from segbench.data.decoding.images import ImageReader, read_image
from segbench.errors import DataError

GREY_12_BIT = (np.arange(48).reshape(6, 8) * 80).astype(np.uint16)


def write_png(file, pixels):
    """Write (H, W, C) uint16 as a PNG of 16 bits a channel, which Pillow does not, by PNG's specification."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width, channels = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_twelve_bits_in_sixteen_are_all_kept(tmp_path, suffix):
    Image.fromarray(GREY_12_BIT).save(tmp_path / f"a.{suffix}")
    read = ImageReader(1)(tmp_path / f"a.{suffix}")
    assert read.dtype == np.uint16
    assert np.array_equal(read[:, :, 0], GREY_12_BIT)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_16_bit_png_keeps_both_bytes_of_every_channel(tmp_path, channels):
    pytest.importorskip("imagecodecs")
    pixels = np.random.default_rng(0).integers(0, 2**16, (5, 7, channels)).astype(np.uint16)
    write_png(tmp_path / "a.png", pixels)
    assert np.array_equal(ImageReader(channels)(tmp_path / "a.png"), pixels)
    with pytest.raises(DataError, match=rf"a\.png: holds 16-bit pixels, .* dataset\.channels: {channels} "):
        read_image(tmp_path / "a.png")


def test_a_torn_16_bit_png_is_named(tmp_path):
    write_png(tmp_path / "a.png", np.random.default_rng(0).integers(0, 2**16, (40, 40, 3)).astype(np.uint16))
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:400])
    with pytest.raises(DataError, match=r"a\.png"):
        ImageReader(3)(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("pixels", "options", "problem"),
    [
        (np.zeros((6, 8, 4), np.uint8) + 7, {"photometric": "rgb"}, r"holds 4 bands, .*channels: 4 .*\[0, 1, 2\]"),
        (
            np.zeros((6, 8, 4), np.uint8),
            {"photometric": "rgb", "extrasamples": ["unspecified"]},
            r"holds 4 bands, .*channels: 4 ",
        ),
        (np.zeros((5, 6, 8), np.uint8), {"photometric": "minisblack", "planarconfig": "separate"}, "holds 5 bands"),
        (np.zeros((2, 6, 8), np.uint8), {"photometric": "minisblack", "planarconfig": "separate"}, "holds 2 bands"),
        (GREY_12_BIT, {}, "holds uint16 pixels, .*channels: 1 "),
        (np.zeros((6, 8, 3), np.uint16), {"photometric": "rgb"}, "holds uint16 pixels, .*channels: 3 "),
        (np.zeros((6, 8), np.float32), {}, "holds float32 pixels, .*channels: 1 "),
        (np.zeros((6, 8), np.int16), {}, "holds int16 pixels, .*channels: 1 "),
        (np.zeros((3, 6, 8), np.uint8), {"photometric": "minisblack"}, "holds 3 pages, .*pages: each .*channels: 3"),
    ],
)
def test_what_rgb_would_lose_is_refused_with_the_key_to_give(tmp_path, pixels, options, problem):
    tifffile.imwrite(tmp_path / "a.tif", pixels, **options)
    with pytest.raises(DataError, match=rf"a\.tif: {problem}"):
        read_image(tmp_path / "a.tif")


def test_opacity_that_says_where_an_image_is_empty_is_dropped(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 4)).astype(np.uint8)
    pixels[:, :, 3] = np.where(pixels[:, :, 3] > 99, 255, 0)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", extrasamples=["unassalpha"])
    assert np.array_equal(read_image(tmp_path / "a.tif"), pixels[:, :, :3])


def test_opacity_is_the_fourth_channel_where_four_are_asked_for(tmp_path, save):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 4)).astype(np.uint8)
    assert np.array_equal(ImageReader(4)(save(pixels, tmp_path / "a.png")), pixels)


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "P", "CMYK"])
def test_pictures_of_8_bits_are_the_same_with_and_without_their_channels(tmp_path, mode):
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype(np.uint8)).convert(mode)
    file = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    picture.save(file)
    channels = 1 if mode in ("1", "L") else 3
    assert np.array_equal(np.broadcast_to(ImageReader(channels)(file), (6, 8, 3)), read_image(file))


@pytest.mark.parametrize(("kind", "problem"), [(b"P6", "values up to 4095"), (b"P5", "values up to 4095")])
def test_deep_netpbm_is_refused_because_pillow_scales_it(tmp_path, kind, problem):
    bands = 3 if kind == b"P6" else 1
    content = np.full((2, 2, bands), 4000, ">u2").tobytes()
    file = tmp_path / ("a.ppm" if bands == 3 else "a.pgm")
    file.write_bytes(kind + b"\n2 2\n4095\n" + content)
    for read in (read_image, ImageReader(bands)):
        with pytest.raises(DataError, match=rf"{problem}, which cannot be read .* PNG or TIFF"):
            read(file)


@pytest.fixture(name="sixteen")
def write_sixteen(tmp_path, save):
    for name in "ab":
        save(GREY_12_BIT, tmp_path / "images" / f"{name}.png")
        save(np.zeros((6, 8)), tmp_path / "masks" / f"{name}.png")
    return {"root": str(tmp_path), "classes": ["x", "y"], "images": "images", "masks": "masks"}


def test_a_folder_knows_its_channels_and_their_type(sixteen):
    split = folder("train", **sixteen, channels=1)
    assert (split.info.channels, split.info.dtype) == (1, "uint16")
    assert split.read(1).image.shape == (6, 8, 1)
    assert folder("train", **sixteen, channels=[0, 0, 0]).read(0).image.shape == (6, 8, 3)


def test_images_of_two_types_in_one_split_are_refused(sixteen, save, tmp_path):
    save(np.zeros((6, 8)), tmp_path / "images/b.png")
    split = folder("train", **sixteen, channels=1)
    with pytest.raises(DataError, match=r"b\.png: holds 1 channel of uint8, but .* first image 1 channel of uint16"):
        split.read(1)


def test_the_bands_that_are_read_are_part_of_the_fingerprint(sixteen):
    prints = {folder("train", **sixteen, channels=channels).fingerprint() for channels in (None, 1, [0], [0, 0])}
    assert len(prints) == 4


@pytest.mark.parametrize("channels", [0, -1, [], [-1]])
def test_channels_that_are_no_bands_are_refused(sixteen, channels):
    with pytest.raises(DataError, match="folder: channels is"):
        folder("train", **sixteen, channels=channels)
