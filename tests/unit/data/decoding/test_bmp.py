"""BMP files are read as their header and palette say, whatever few greys the palette holds."""

import struct

import numpy as np
import pytest

from segbench.data.decoding.images import read_image
from segbench.data.masks.stored import read_stored

BLACK_AND_WHITE = [0, 255]


def write_bmp(path, indices, *, bits, greys, declared):
    """Write indices with a palette of greys, rows from the bottom, each padded to four bytes (Windows bitmap, v3)."""
    height, width = indices.shape
    rows = [np.packbits(np.unpackbits(row[:, None], axis=1)[:, 8 - bits :].ravel()).tobytes() for row in indices]
    pixels = b"".join(row + b"\0" * (-len(row) % 4) for row in reversed(rows))
    palette = b"".join(bytes((grey, grey, grey, 0)) for grey in greys)
    start = 14 + 40 + len(palette)
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, 0, len(pixels), 0, 0, declared, 0)
    path.write_bytes(struct.pack("<2sIHHI", b"BM", start + len(pixels), 0, 0, start) + header + palette + pixels)


@pytest.mark.parametrize(
    ("bits", "greys", "declared"),
    [
        (1, BLACK_AND_WHITE, 2),
        (1, BLACK_AND_WHITE, 0),
        (4, BLACK_AND_WHITE, 2),
        (4, range(16), 0),
        (8, BLACK_AND_WHITE, 2),
        (8, [255, 0], 2),
        (8, range(256), 0),
        (8, [0, 255, 255], 3),
    ],
)
def test_pixels_are_those_that_the_palette_shows(bits, greys, declared, tmp_path):
    indices = np.random.default_rng(0).integers(0, min(len(greys), 1 << bits), (13, 11)).astype(np.uint8)
    write_bmp(tmp_path / "a.bmp", indices, bits=bits, greys=greys, declared=declared)
    expected = np.array(greys, dtype=np.uint8)[indices]
    np.testing.assert_array_equal(read_image(tmp_path / "a.bmp"), np.repeat(expected[:, :, None], 3, axis=2))


@pytest.mark.parametrize("bits", [1, 4, 8])
def test_a_mask_of_black_and_white_holds_0_and_1_which_show_0_and_255(bits, tmp_path):
    indices = np.random.default_rng(0).integers(0, 2, (13, 11)).astype(np.uint8)
    write_bmp(tmp_path / "a.bmp", indices, bits=bits, greys=BLACK_AND_WHITE, declared=2)
    stored = read_stored(tmp_path / "a.bmp")
    np.testing.assert_array_equal(stored.numbers, indices)
    assert (stored.stretch, stored.palette) == (255, None)


def test_a_ramp_of_4_bits_holds_its_numbers(tmp_path):
    indices = np.random.default_rng(0).integers(0, 16, (13, 11)).astype(np.uint8)
    write_bmp(tmp_path / "a.bmp", indices, bits=4, greys=range(16), declared=16)
    stored = read_stored(tmp_path / "a.bmp")
    np.testing.assert_array_equal(stored.numbers, indices)
    assert (stored.stretch, stored.palette) == (1, None)
