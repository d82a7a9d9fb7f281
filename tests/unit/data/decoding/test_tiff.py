"""TIFF files as GDAL, ImageJ and tifffile write them, read at full depth."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from segbench.data.decoding.decoding import page_count
from segbench.data.decoding.images import ImageReader, read_image
from segbench.data.decoding.tiff import oriented, read_tiff
from segbench.data.masks.stored import is_lossy, read_stored
from segbench.errors import DataError


def numbers(*shape, dtype="uint16", seed=0):
    return np.random.default_rng(seed).integers(0, 250 if dtype == "uint8" else 60000, shape).astype(dtype)


WAYS = {
    "interleaved": {},
    "big endian": {"byteorder": ">"},
    "tiled": {"tile": (16, 16)},
    "deflate": {"compression": "zlib"},
    "deflate, predictor 2": {"compression": "zlib", "predictor": True, "tile": (16, 16)},
    "LZW, predictor 2": {"compression": "lzw", "predictor": True},
    "zstd": {"compression": "zstd"},
    "big TIFF": {"bigtiff": True},
    "bands as H pages of W rows": {"photometric": "minisblack"},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_four_bands_are_read_as_they_were_written(tmp_path, way, dtype):
    if WAYS[way].get("compression") in ("lzw", "zstd") or (dtype == "float32" and "predictor" in WAYS[way]):
        pytest.importorskip("imagecodecs")
    bands = numbers(40, 50, 4, dtype=dtype)
    tifffile.imwrite(tmp_path / "a.tif", bands, **{"photometric": "rgb", **WAYS[way]})
    read = ImageReader(4)(tmp_path / "a.tif")
    assert read.dtype == dtype
    assert np.array_equal(read, bands)


PLANES = {
    "planes": {"planarconfig": "separate", "photometric": "rgb"},
    "grey planes": {"planarconfig": "separate", "photometric": "minisblack"},
    "pages": {"photometric": "minisblack"},
    "ImageJ channels": {"imagej": True, "metadata": {"axes": "CYX"}},
    "OME channels": {"ome": True, "metadata": {"axes": "CYX"}},
}


@pytest.mark.parametrize("way", PLANES)
def test_bands_before_rows_become_bands_behind_columns(tmp_path, way):
    planes = numbers(4, 30, 20)
    tifffile.imwrite(tmp_path / "a.tif", planes, **PLANES[way])
    assert np.array_equal(ImageReader(4)(tmp_path / "a.tif"), planes.transpose(1, 2, 0))


@pytest.mark.parametrize(
    ("channels", "kept"), [((0, 1, 2), [0, 1, 2]), ((3, 0), [3, 0]), ((1,), [1]), ((2, 2), [2, 2])]
)
def test_bands_are_chosen_by_their_place_from_0(tmp_path, channels, kept):
    bands = numbers(12, 14, 4)
    tifffile.imwrite(tmp_path / "a.tif", bands)
    assert np.array_equal(ImageReader(channels)(tmp_path / "a.tif"), bands[:, :, list(channels)])


@pytest.mark.parametrize(
    ("channels", "problem"),
    [(3, "holds 4 bands, but dataset.channels is 3; give 4"), ((1, 4), r"is \[1, 4\]; .* count from 0 to 3")],
)
def test_bands_that_are_not_there_are_refused(tmp_path, channels, problem):
    tifffile.imwrite(tmp_path / "a.tif", numbers(12, 14, 4))
    with pytest.raises(DataError, match=problem):
        ImageReader(channels)(tmp_path / "a.tif")


@pytest.mark.parametrize("dtype", ["int16", "int32", "uint32", "float64", "float16"])
def test_other_numbers_keep_their_value_as_float32(tmp_path, dtype):
    values = np.array([[-3, 0], [17, 2000]]) if dtype != "uint32" else np.array([[3, 0], [17, 2**20]])
    tifffile.imwrite(tmp_path / "a.tif", values.astype(dtype))
    read = ImageReader(1)(tmp_path / "a.tif")
    assert read.dtype == np.float32
    assert np.array_equal(read[:, :, 0], values)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (np.array([[2**24 + 1]], np.uint32), "16777217, which float32 rounds"),
        (np.array([[np.nan, 1, np.inf]], np.float32), "2 of its 3 values are no finite numbers"),
        (np.array([[1e300]], np.float64), "1 of its 1 values"),
        (np.array([[1j]], np.complex64), "pixels of the type complex64"),
    ],
)
def test_numbers_that_float32_does_not_hold_are_refused(tmp_path, values, problem):
    tifffile.imwrite(tmp_path / "a.tif", values)
    with pytest.raises(DataError, match=rf"a\.tif: .*{problem}"):
        ImageReader(1)(tmp_path / "a.tif")


def test_a_volume_in_one_page_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", numbers(8, 32, 32), volumetric=True, tile=(16, 16, 16))
    with pytest.raises(DataError, match=r"a\.tif: holds a volume .* save its slices as pages"):
        ImageReader(8)(tmp_path / "a.tif")


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"tile": (16, 16), "compression": "zlib"}])
@pytest.mark.parametrize("share", [0.001, 0.3, 0.9])
def test_a_truncated_file_is_named(tmp_path, options, share):
    file = tmp_path / "torn.tif"
    tifffile.imwrite(file, numbers(64, 64, 4), **options)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(DataError, match=r"torn\.tif"):
        ImageReader(4)(file)


def test_strips_of_no_rows_are_named(tmp_path):
    file = tmp_path / "a.tif"
    tifffile.imwrite(file, np.zeros((6, 8), np.uint8), photometric="minisblack", rowsperstrip=6, compression="zlib")
    content = bytearray(file.read_bytes())
    rows_per_strip = content.index((278).to_bytes(2, "little"))
    content[rows_per_strip + 8 : rows_per_strip + 12] = bytes(4)
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.tif"):
        read_tiff(file)


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_a_header_of_far_more_bands_than_are_stored_is_named_as_damage(tmp_path, compression):
    """Decoding would ask for 44 GB."""
    file, kind = tmp_path / "bands.tif", {"photometric": "minisblack", "planarconfig": "contig"}
    tifffile.imwrite(file, np.zeros((600, 600, 5), np.uint16), compression=compression, **kind)
    with tifffile.TiffFile(file, mode="r+b") as tiff:
        tiff.pages[0].tags["SamplesPerPixel"].overwrite(65_000)
    with pytest.raises(DataError, match=r"bands\.tif: cannot be read .*its header tells of 46,800,000,000 bytes"):
        read_tiff(file)


def test_a_compression_that_is_missing_is_named_with_its_remedy(tmp_path, monkeypatch):
    def lacking(page):
        raise ValueError("<COMPRESSION.LERC: 34887> requires the 'imagecodecs' package")

    tifffile.imwrite(tmp_path / "a.tif", numbers(8, 8, 5), photometric="minisblack", planarconfig="contig")
    monkeypatch.setattr(tifffile.TiffPage, "asarray", lacking)
    with pytest.raises(DataError, match=r"a\.tif: its compression .*LERC.* pip install 'imagecodecs'"):
        ImageReader(5)(tmp_path / "a.tif")


def test_a_smaller_copy_before_the_image_is_not_the_image(tmp_path):
    image, mask = numbers(20, 30, 3, dtype="uint8"), numbers(20, 30, dtype="uint8")
    for name, pixels, options in (
        ("image.tif", image, {"photometric": "rgb"}),
        ("mask.tif", mask, {"photometric": "minisblack"}),
    ):
        with tifffile.TiffWriter(tmp_path / name) as writer:
            writer.write(
                pixels[::2, ::2], subfiletype=1, compression="jpeg" if name == "image.tif" else None, **options
            )
            writer.write(pixels, **options)
        assert page_count(tmp_path / name) == 1
    assert np.array_equal(read_image(tmp_path / "image.tif"), image)
    assert np.array_equal(ImageReader(3)(tmp_path / "image.tif"), image)
    stored = read_stored(tmp_path / "mask.tif")
    assert np.array_equal(stored.numbers, mask)
    assert not stored.lossy
    assert not is_lossy(tmp_path / "image.tif"), "only the copy is"


def test_overviews_are_no_pages(tmp_path):
    image = numbers(64, 64, 3, dtype="uint8")
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(image, photometric="rgb")
        writer.write(image[::2, ::2], photometric="rgb", subfiletype=1)
    assert page_count(tmp_path / "a.tif") == 1
    assert np.array_equal(read_image(tmp_path / "a.tif"), image)
    assert np.array_equal(ImageReader(3)(tmp_path / "a.tif"), image)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turning_agrees_with_pillow(orientation):
    stored = numbers(5, 7, 3, dtype="uint8")
    picture = Image.fromarray(stored)
    exif = picture.getexif()
    exif[0x0112] = orientation
    from PIL import ImageOps

    assert np.array_equal(oriented(stored, orientation), np.asarray(ImageOps.exif_transpose(picture)))


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_tiff_is_turned_alike_at_8_bits_and_at_full_depth(tmp_path, orientation):
    bands = numbers(5, 7, 3, dtype="uint8")
    tifffile.imwrite(tmp_path / "a.tif", bands, photometric="rgb", extratags=[(274, "H", 1, orientation, True)])
    expected = oriented(bands, orientation)
    assert np.array_equal(read_image(tmp_path / "a.tif"), expected)
    assert np.array_equal(ImageReader(3)(tmp_path / "a.tif"), expected)


def test_a_large_stack_of_imagej_with_one_directory_is_read_page_by_page(tmp_path):
    stack = numbers(5, 12, 16)
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack", metadata={"axes": "TYX"}, truncate=True)
    assert page_count(tmp_path / "a.tif") == 5
    assert np.array_equal(read_tiff(tmp_path / "a.tif", page=3)[:, :, 0], stack[3])
