"""TIFF images that store white as 0 are read as viewers show them, and CIELAB is refused."""

import numpy as np
import pytest
import tifffile

from segbench.data.decoding.images import ImageReader
from segbench.errors import DataError

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (20, 30), np.uint8)
DEEP = RANDOM.integers(0, 65536, (20, 30), np.uint16)
TWELVE_BITS = DEEP >> 4


@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "packbits", "zstd"])
@pytest.mark.parametrize("tile", [None, (16, 16)])
def test_one_band_is_what_rgb_shows(compression, tile, tmp_path):
    file = tmp_path / "a.tif"
    tifffile.imwrite(file, GREY, photometric="miniswhite", compression=compression, tile=tile)
    assert np.array_equal(ImageReader(1)(file)[:, :, 0], 255 - GREY)
    assert np.array_equal(ImageReader((0,))(file)[:, :, 0], 255 - GREY)
    assert np.array_equal(ImageReader()(file), np.dstack([255 - GREY] * 3))


@pytest.mark.parametrize(("stored", "bits", "white"), [(DEEP, None, 65535), (TWELVE_BITS, 12, 4095)])
def test_the_bits_of_a_band_say_what_white_is(stored, bits, white, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="miniswhite", bitspersample=bits)
    image = ImageReader(1)(tmp_path / "a.tif")
    assert image.dtype == np.uint16
    assert np.array_equal(image[:, :, 0], white - stored)


def test_a_folder_of_both_kinds_shows_one_kind(tmp_path):
    for name, stored, photometric in (("a", DEEP, "minisblack"), ("b", 65535 - DEEP, "miniswhite")):
        tifffile.imwrite(tmp_path / f"{name}.tif", stored, photometric=photometric)
    first, second = (ImageReader(1)(tmp_path / f"{name}.tif") for name in "ab")
    assert np.array_equal(first, second)


def test_pages_that_are_bands_are_inverted_too(tmp_path):
    stack = np.stack([GREY, GREY // 2, GREY // 3, GREY // 4])
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="miniswhite")
    assert np.array_equal(ImageReader(4)(tmp_path / "a.tif"), np.moveaxis(255 - stack, 0, -1))
    assert np.array_equal(ImageReader(1)(tmp_path / "a.tif", page=2)[:, :, 0], 255 - stack[2])


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "int32"])
def test_numbers_without_a_largest_one_are_refused(dtype, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", GREY.astype(dtype), photometric="miniswhite")
    with pytest.raises(
        DataError, match=rf"a\.tif: stores white as 0 in {dtype} pixels, for which TIFF defines no black"
    ):
        ImageReader(1)(tmp_path / "a.tif")


@pytest.mark.parametrize("photometric", ["cielab", "icclab"])
@pytest.mark.parametrize("channels", [None, 3, (0,)])
def test_cielab_is_refused(photometric, channels, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.dstack([GREY] * 3), photometric=photometric)
    with pytest.raises(DataError, match=r"a\.tif: holds CIELAB colours .*save it as RGB"):
        ImageReader(channels)(tmp_path / "a.tif")
