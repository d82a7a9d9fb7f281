"""Files of decoded images: each whole or not there, named by what is in it, and kept within a limit in their folder."""

from __future__ import annotations

import json
import logging
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from segbench.data.base import DatasetInfo, SegmentationDataset
from segbench.errors import DataError
from segbench.results.atomic_replace import leftovers
from segbench.results.files import temporary_path

MAGIC = b"segbench-cache-2"
"""Starts and ends a cache file; changes with its layout: samples, index as JSON, length of the index, magic.

1: images were not turned by their EXIF orientation.
"""

_ANY_MAGIC = b"segbench-cache-"

_TAIL = 8 + len(MAGIC)
"""Bytes behind the index."""

_IN_USE_SECONDS = 24 * 3600
"""What was opened within this time may be in use."""

_log = logging.getLogger(__name__)


class SampleLocation(NamedTuple):
    """Where a sample lies in the cache file."""

    offset: int
    height: int
    width: int
    checksum: int

    def size(self, pixel_bytes: int) -> int:
        """Return how many bytes it takes, at so many for each pixel of image and label."""
        return self.height * self.width * pixel_bytes


def pixel_bytes(info: DatasetInfo) -> int:
    """Return how many bytes image and label take for each pixel."""
    return info.channels * np.dtype(info.dtype).itemsize + 1


def cache_file(dataset: SegmentationDataset, folder: Path) -> Path:
    """Return where a split is cached: a file named by its content, which all runs share."""
    return folder / f"{dataset.info.name}-{dataset.cache_key()[:32]}.raw"


def write_cache(file: Path, dataset: SegmentationDataset) -> None:
    """Decode a split into a cache file, which appears under its name only when it is complete.

    Raises:
        DataError: An image cannot be read, or the folder cannot be written (full, or not allowed).
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        _sweep(file.parent)
        with _replacing(file) as output:
            places = list(_write_samples(output, dataset))
            index = json.dumps(places).encode()
            output.write(index + len(index).to_bytes(8, "little") + MAGIC)
    except OSError as error:
        raise DataError(
            f"{file}: the cache of decoded images cannot be written: {error}; free space there, set "
            "loader.cache_folder to another place, or loader.cache: none"
        ) from None


@contextmanager
def _replacing(file: Path) -> Iterator[BinaryIO]:
    """Give a stream whose content becomes the file when the block succeeds."""
    temporary = temporary_path(file)
    with temporary.open("wb") as output:
        try:
            yield output
            output.flush()
            temporary.replace(file)
        finally:
            temporary.unlink(missing_ok=True)


def _sweep(folder: Path) -> None:
    """Remove the caches that dead processes were writing."""
    for leftover in leftovers(folder):
        if not leftover.in_use():
            leftover.path.unlink(missing_ok=True)


def _write_samples(output: Any, dataset: SegmentationDataset) -> Iterator[SampleLocation]:
    output.write(MAGIC)
    offset = len(MAGIC)
    for index in range(len(dataset)):
        sample = dataset.read(index)
        content = np.ascontiguousarray(sample.image).tobytes() + np.ascontiguousarray(sample.label).tobytes()
        output.write(content)
        height, width = sample.label.shape
        yield SampleLocation(offset, height, width, zlib.crc32(content))
        offset += len(content)


def read_index(file: Path, count: int, pixel_bytes: int) -> list[SampleLocation] | None:
    """Return where each of ``count`` samples lies, or None if the file is missing or not whole.

    The samples themselves are not looked at: of a large split that would take as long as an epoch.

    Args:
        file: The cache file.
        count: How many samples it has to hold.
        pixel_bytes: How many bytes image and label take for each pixel.
    """
    try:
        with file.open("rb") as stream:
            size = file.stat().st_size
            start = stream.read(len(MAGIC))
            stream.seek(max(0, size - _TAIL))
            length, end = int.from_bytes(stream.read(8), "little"), stream.read()
            if start != MAGIC or end != MAGIC or length > size:
                return None
            stream.seek(size - _TAIL - length)
            places = [SampleLocation(*place) for place in json.loads(stream.read(length))]
        offset = len(MAGIC)
        for place in places:
            if place.offset != offset or any(type(value) is not int for value in place):
                return None
            offset += place.size(pixel_bytes)
    except (OSError, ValueError, TypeError):
        return None
    return places if offset + length + _TAIL == size and len(places) == count else None


def make_room(folder: Path, needed: int, *, limit: int) -> bool:
    """Remove the caches that were not used for longest, until those in a folder and a new one stay within a limit.

    What was opened within the last day may be in use, and stays.

    Args:
        folder: Where the caches lie.
        needed: Bytes of the new one.
        limit: Bytes of all.

    Returns:
        Whether there is room; if not, nothing was removed.
    """
    found = {file: file.stat() for file in folder.glob("*.raw") if _is_cache(file)} if folder.is_dir() else {}
    excess = needed + sum(facts.st_size for facts in found.values()) - limit
    old = [file for file, facts in found.items() if facts.st_mtime < time.time() - _IN_USE_SECONDS]
    if excess > sum(found[file].st_size for file in old):
        return False
    for file in sorted(old, key=lambda file: found[file].st_mtime):
        if excess <= 0:
            break
        with suppress(OSError):
            file.unlink()
            _log.warning("%s: removed, to make room for another cache of decoded images", file)
            excess -= found[file].st_size
    return excess <= 0


def _is_cache(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            return stream.read(len(MAGIC)).startswith(_ANY_MAGIC)
    except OSError:
        return False
