"""What mask files of every kind store."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from segbench.data.decoding.decoding import reading_page
from segbench.data.masks.stored import is_lossy, read_stored
from segbench.errors import DataError

NUMBERS = [[0, 1, 2], [3, 1, 0]]


@pytest.mark.parametrize("kind", ["uint8", "uint16", "int32", "float32"])
@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate"])
def test_whole_numbers_of_any_type_are_read(tmp_path, kind, compression):
    Image.fromarray(np.array(NUMBERS, dtype=kind)).save(tmp_path / "a.tif", compression=compression)
    numbers = read_stored(tmp_path / "a.tif").numbers
    assert numbers.tolist() == NUMBERS
    assert np.issubdtype(numbers.dtype, np.integer)


DEEP = ["uint32", "int64", "uint64", "float16", "float64"]


@pytest.mark.parametrize("kind", DEEP)
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_whole_numbers_that_pillow_cannot_read_are_read(tmp_path, kind, compression):
    tifffile.imwrite(tmp_path / "a.tif", np.array(NUMBERS, dtype=kind), compression=compression)
    numbers = read_stored(tmp_path / "a.tif").numbers
    assert numbers.tolist() == NUMBERS
    assert np.issubdtype(numbers.dtype, np.integer)


@pytest.mark.parametrize("kind", ["int64", "float64"])
def test_negative_numbers_of_64_bits_keep_their_sign(tmp_path, kind):
    tifffile.imwrite(tmp_path / "a.tif", np.array([[-1, 0, 3]], dtype=kind))
    assert read_stored(tmp_path / "a.tif").numbers.tolist() == [[-1, 0, 3]]


@pytest.mark.parametrize("shape", [(2, 3), (5, 8), (4, 17)])
def test_an_array_of_bool_is_0_and_1(tmp_path, shape):
    truth = np.random.default_rng(0).random(shape) < 0.3
    tifffile.imwrite(tmp_path / "a.tif", truth)
    stored = read_stored(tmp_path / "a.tif")
    assert np.array_equal(stored.numbers, truth)
    assert stored.stretch == 255


def test_one_bit_that_stores_white_as_0_stays_refused_where_it_is_no_array_of_bool(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.eye(4, dtype=bool), software="scanner")
    with pytest.raises(DataError, match=r"a\.tif: stores white as 0"):
        read_stored(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.array([[0.5, 1.0]]), r"floating-point numbers such as 0\.5 \(1 pixels\)"),
        (np.array([[np.nan, 1.0]], dtype=np.float16), r"such as nan \(1 pixels\)"),
        (np.array([[2**40, 1]], dtype=np.int64), r"holds 1099511627776 \(1 pixels\), which is no class number"),
        (np.array([[2**63, 1]], dtype=np.uint64), r"holds 9223372036854775808 \(1 pixels\)"),
        (np.array([[1, 2j]], dtype=np.complex64), "holds complex64 pixels"),
    ],
)
def test_numbers_that_are_no_classes_are_named(tmp_path, array, said):
    tifffile.imwrite(tmp_path / "a.tif", array)
    with pytest.raises(DataError, match=rf"a\.tif: holds .*{said.removeprefix('holds ')}"):
        read_stored(tmp_path / "a.tif")


@pytest.mark.parametrize("bands", [2, 4, 5])
def test_the_bands_of_a_deep_tiff_are_named(tmp_path, bands):
    stack = np.zeros((6, 7, bands), dtype=np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack", planarconfig="contig")
    with pytest.raises(DataError, match=rf"a\.tif: holds {bands} bands of uint16, of which a mask has one"):
        read_stored(tmp_path / "a.tif")


@pytest.mark.parametrize("bands", [3, 4])
def test_the_bands_of_deep_colours_are_counted(tmp_path, bands):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((6, 7, bands), dtype=np.uint16), photometric="rgb")
    with pytest.raises(DataError, match=rf"has 16 bits in each of its {bands} bands"):
        read_stored(tmp_path / "a.tif")


def test_pages_of_64_bits_are_refused_until_one_is_chosen(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.arange(24).reshape(2, 3, 4), photometric="minisblack")
    with pytest.raises(DataError, match="holds 2 pages"):
        read_stored(tmp_path / "a.tif")
    with reading_page(1):
        assert read_stored(tmp_path / "a.tif").numbers.tolist() == np.arange(12, 24).reshape(3, 4).tolist()


def test_a_tiff_that_is_cut_off_is_named(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((40, 40), dtype=np.int64))
    (tmp_path / "a.tif").write_bytes((tmp_path / "a.tif").read_bytes()[:2000])
    with pytest.raises(DataError, match=r"a\.tif: cannot be read as a TIFF .*complete"):
        read_stored(tmp_path / "a.tif")


@pytest.mark.parametrize("suffix", ["png", "bmp", "gif", "tif", "pgm"])
def test_lossless_formats_are_read_alike(tmp_path, suffix, save):
    assert read_stored(save(NUMBERS, tmp_path / f"a.{suffix}")).numbers.tolist() == NUMBERS


@pytest.mark.parametrize(("odd", "shown"), [(0.37, r"such as 0\.37"), (float("nan"), "such as nan")])
def test_fractions_are_refused_with_the_reason(tmp_path, odd, shown):
    Image.fromarray(np.array([[0, 1, odd]], dtype=np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match=rf"a\.tif: holds floating-point numbers {shown} \(1 pixels\)"):
        read_stored(tmp_path / "a.tif")


@pytest.mark.parametrize(("maximum", "header"), [(3, b"P5"), (1000, b"P5"), (3, b"P2")])
def test_a_pgm_of_a_small_range_is_read_as_stored(tmp_path, maximum, header):
    kind = np.uint8 if maximum < 256 else np.dtype(">u2")
    content = np.array(NUMBERS, dtype=kind).tobytes() if header == b"P5" else b"0 1 2 3 1 0"
    (tmp_path / "a.pgm").write_bytes(header + b"\n3 2\n%d\n" % maximum + content)
    assert read_stored(tmp_path / "a.pgm").numbers.tolist() == NUMBERS


def written_tiff(file, packed, *, size, bits, sample_format=1):
    """Write a grey TIFF by hand, since Pillow writes neither signed bytes nor few bits."""
    import struct

    width, height = size
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: 1, 273: 8, 277: 1, 278: height, 279: len(packed)}
    tags[339] = sample_format
    content = packed.ljust(8, b"\0")
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    offset = 8 + len(content)
    file.write_bytes(
        b"II*\0" + struct.pack("<I", offset) + content + struct.pack("<H", len(tags)) + entries + b"\0" * 4
    )
    return file


def test_signed_bytes_keep_their_sign(tmp_path):
    numbers = np.array([[-1, 0, 1], [2, -1, 0]], dtype=np.int8)
    file = written_tiff(tmp_path / "a.tif", numbers.tobytes(), size=(3, 2), bits=8, sample_format=2)
    assert read_stored(file).numbers.tolist() == numbers.tolist()


@pytest.mark.parametrize(
    ("bits", "packed", "numbers", "stretch"),
    [
        (1, [0b01010000], [0, 1, 0, 1], 255),
        (2, [0b00011011], [0, 1, 2, 3], 85),
        (4, [0x0F, 0x12], [0, 15, 1, 2], 17),
    ],
)
def test_few_bits_of_a_tiff_are_read_as_stored(tmp_path, bits, packed, numbers, stretch):
    stored = read_stored(written_tiff(tmp_path / "a.tif", bytes(packed), size=(4, 1), bits=bits))
    assert (stored.numbers.tolist(), stored.stretch) == ([numbers], stretch)


@pytest.mark.parametrize("suffix", ["tif", "gif", "png"])
def test_several_pages_are_refused_with_their_number(tmp_path, suffix):
    pages = [Image.fromarray(np.full((4, 5), index, dtype=np.uint8)) for index in range(3)]
    pages[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=pages[1:])
    with pytest.raises(DataError, match="holds 3 pages"):
        read_stored(tmp_path / f"a.{suffix}")


def test_what_is_no_image_is_named_as_what_it_is(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((2, 2)))
    with pytest.raises(DataError, match=r"a\.npy: is a NumPy array"):
        read_stored(tmp_path / "a.npy")
    (tmp_path / "b.tif").write_bytes(b"II*\0" + b"\0" * 20)
    with pytest.raises(DataError, match=r"b\.tif: cannot be read as a TIFF"):
        read_stored(tmp_path / "b.tif")
    (tmp_path / "c.png").write_bytes(b"hello")
    with pytest.raises(DataError, match=r"c\.png: cannot be read as an image"):
        read_stored(tmp_path / "c.png")
    with pytest.raises(DataError, match="there is no such file"):
        read_stored(tmp_path / "d.png")


def test_bits_that_would_be_lost_are_refused(tmp_path):
    """Pillow keeps the high byte of 16 bits in each of several channels: the classes 0 to 255 would all be 0."""
    import struct
    import zlib

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    pixels = b"\0" + np.array([[0, 65535], [2, 65535]], dtype=">u2").tobytes()
    content = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 16, 4, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(pixels))
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + content + chunk(b"IEND", b""))
    with pytest.raises(DataError, match="has 16 bits in each of its 2 bands"):
        read_stored(tmp_path / "a.png")


def test_a_bilevel_file_whose_white_is_0_is_refused(tmp_path):
    (tmp_path / "a.pbm").write_bytes(b"P1\n2 1\n0 1\n")
    with pytest.raises(DataError, match="stores white as 0"):
        read_stored(tmp_path / "a.pbm")


def test_a_grey_ramp_is_no_palette(tmp_path):
    image = Image.fromarray(np.array(NUMBERS, dtype=np.uint8))
    image.putpalette([level for index in range(256) for level in (index,) * 3])
    image.save(tmp_path / "a.png")
    assert read_stored(tmp_path / "a.png").palette is None
    image.putpalette([0, 0, 0, 255, 0, 0])
    image.save(tmp_path / "b.png")
    assert read_stored(tmp_path / "b.png").palette[:2].tolist() == [[0, 0, 0], [255, 0, 0]]


DISC = ((np.add.outer(np.arange(-20, 20) ** 2, np.arange(-30, 30) ** 2) < 200) * 255).astype(np.uint8)


@pytest.mark.parametrize("compression", ["jpeg", "jpeg2000", "jpegxr", "jpegxl"])
def test_a_tiff_in_a_lossy_compression_is_lossy(compression, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", DISC, compression=compression)
    assert is_lossy(tmp_path / "a.tif")
    stored = read_stored(tmp_path / "a.tif")
    assert stored.lossy
    assert "the file is lossy" in stored.advice


def test_a_coloured_tiff_in_jpeg_is_lossy_whoever_wrote_it(tmp_path):
    coloured = np.dstack([DISC, 255 - DISC, DISC])
    tifffile.imwrite(tmp_path / "a.tif", coloured, compression="jpeg", photometric="rgb")
    Image.fromarray(coloured).save(tmp_path / "b.tif", compression="jpeg")
    tifffile.imwrite(tmp_path / "c.tif", DISC, compression="jpeg", tile=(16, 16))
    assert all(read_stored(tmp_path / name).lossy for name in ("a.tif", "b.tif", "c.tif"))


@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "packbits", "zstd", "lzma", "lerc"])
def test_a_tiff_in_another_compression_is_not(compression, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", DISC, compression=compression)
    assert not is_lossy(tmp_path / "a.tif")
    assert not read_stored(tmp_path / "a.tif").lossy
    assert np.array_equal(read_stored(tmp_path / "a.tif").numbers, DISC)
