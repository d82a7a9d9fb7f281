"""Claims about images that expand to more than the memory holds: refused before they are decoded, with the limit."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from tifffile import TiffWriter

from segbench.data.decoding.decoding import decode
from segbench.data.decoding.images import read_bands, read_image
from segbench.data.decoding.pixel_limit import VARIABLE
from segbench.data.decoding.tiff import read_tiff
from segbench.data.masks.stored import read_stored
from segbench.errors import DataError, UsageError

SIDE = 30_000
FEW = b"\0" * 100


def png(path, *, side=SIDE, depth=8, color=0):
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, depth, color, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(FEW)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


def tiff(path):
    tags = [(256, SIDE), (257, SIDE), (258, 8), (259, 8), (262, 1), (273, 8), (277, 1), (278, SIDE), (279, 100)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    body = struct.pack("<2sHI", b"II", 42, 108) + zlib.compress(FEW).ljust(100, b"\0")
    path.write_bytes(body + struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0))
    return path


READ_WITHIN = """
import pathlib, resource, sys
from segbench.data.decoding.images import read_bands
from segbench.errors import DataError
pages = int(pathlib.Path("/proc/self/statm").read_text().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 400 * 10**6,) * 2)
for file in sys.argv[1:]:
    try:
        read_bands(pathlib.Path(file))
    except DataError as error:
        print("refused" if "above the limit" in str(error) else error)
"""

FILES = {
    "grey.png": png,
    "deep.png": lambda path: png(path, depth=16, color=2),
    "grey.tif": tiff,
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("read", [decode, read_image, read_bands, read_stored])
def test_a_bomb_is_refused_with_the_limit_and_how_to_raise_it(tmp_path, name, read):
    file = FILES[name](tmp_path / name)
    if name == "deep.png" and read is read_image:
        pytest.skip("8-bit reading refuses 16 bits by the header alone")
    with pytest.raises(DataError, match=rf"{name}: holds .* above the limit of 500 megapixels; {VARIABLE} raises"):
        read(file)


def test_nothing_of_a_bomb_is_decoded(tmp_path):
    """In a process that may take 400 MB more than it has: the smallest of these images holds 900 MB of pixels."""
    files = [str(write(tmp_path / name)) for name, write in FILES.items()]
    done = subprocess.run([sys.executable, "-c", READ_WITHIN, *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["refused"] * len(files)


def test_every_page_that_is_read_is_checked(tmp_path):
    """The first page is small; the second one is the bomb."""
    file = tmp_path / "pages.tif"
    with TiffWriter(file) as writer:
        for side in (4, 40):
            writer.write(np.zeros((side, side), np.uint8), photometric="minisblack", contiguous=False)
    content = file.read_bytes()
    large = content.replace(struct.pack("<HHII", 256, 4, 1, 40), struct.pack("<HHII", 256, 4, 1, SIDE))
    large = large.replace(struct.pack("<HHII", 257, 4, 1, 40), struct.pack("<HHII", 257, 4, 1, SIDE))
    assert large != content
    file.write_bytes(large)
    assert read_tiff(file, page=0).shape == (4, 4, 1)
    with pytest.raises(DataError, match="above the limit of 500 megapixels"):
        read_tiff(file, page=1)


def test_the_limit_may_be_raised_and_lowered(tmp_path):
    """In a process of its own, as Pillow's limit is set when images are first read."""
    file = png(tmp_path / "a.png", side=3_000)
    code = "import sys, pathlib, segbench.data.decoding.decoding as d; d.decode(pathlib.Path(sys.argv[1]))"

    def read(limit):
        done = subprocess.run(
            [sys.executable, "-c", code, file], env={VARIABLE: limit}, capture_output=True, text=True, check=False
        )
        return done.stderr

    assert "above the limit of 8.9 megapixels" in read("8.9")
    assert "is it complete?" in read("9.1"), "it is decoded, and is cut short"


@pytest.mark.parametrize("given", ["many", "0", "-1", "nan", "inf"])
def test_a_limit_that_is_none_is_told(tmp_path, monkeypatch, given):
    monkeypatch.setenv(VARIABLE, given)
    with pytest.raises(UsageError, match=f"{VARIABLE}={given}: expected a number of megapixels"):
        read_bands(tiff(tmp_path / "a.tif"))
