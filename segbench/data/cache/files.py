"""Cache files of decoded images: written atomically, named by content, with a size limit for their folder."""

from __future__ import annotations

import json
import logging
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from segbench.data.base import DatasetInfo, SegmentationDataset
from segbench.errors import DataError
from segbench.results.atomic_replace import sweep
from segbench.results.files import replacing

MAGIC = b"segbench-cache-2"
"""Magic bytes at both ends of a cache file, changed with the layout: samples, index as JSON, length of the index,
magic.

1: images were not rotated by their EXIF orientation.
"""

_ANY_MAGIC = b"segbench-cache-"

_TAIL = 8 + len(MAGIC)
"""Number of bytes after the index."""

_IN_USE_SECONDS = 24 * 3600
"""Files opened within this time may be in use."""

_log = logging.getLogger(__name__)


class SampleLocation(NamedTuple):
    """Location of a sample in the cache file."""

    offset: int
    height: int
    width: int
    checksum: int

    def size(self, pixel_bytes: int) -> int:
        """Return its size in bytes, given the bytes per pixel of image and label."""
        return self.height * self.width * pixel_bytes


def pixel_bytes(info: DatasetInfo) -> int:
    """Return the bytes per pixel of image and label."""
    return info.channels * np.dtype(info.dtype).itemsize + 1


def cache_file(dataset: SegmentationDataset, folder: Path) -> Path:
    """Return the cache file of a split, named by its content and shared by all runs."""
    return folder / f"{dataset.info.name}-{dataset.cache_key()[:32]}.raw"


def write_cache(file: Path, dataset: SegmentationDataset) -> None:
    """Decode a split and write its cache file atomically.

    Raises:
        DataError: An image cannot be read, or the folder cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        sweep(file.parent)
        with replacing(file) as temporary, temporary.open("wb") as output:
            places = list(_write_samples(output, dataset))
            index = json.dumps(places).encode()
            output.write(index + len(index).to_bytes(8, "little") + MAGIC)
    except OSError as error:
        raise DataError(
            f"{file}: the cache of decoded images cannot be written: {error}; free space there, set "
            "loader.cache_folder to another place, or loader.cache: none"
        ) from None


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
    """Return the locations of all samples; None if the file is missing or incomplete.

    The samples are not verified, since that could take as long as an epoch.

    Args:
        file: The cache file.
        count: Expected number of samples.
        pixel_bytes: Bytes per pixel of image and label.
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
    """Remove the least recently used caches until a new one fits within the folder's limit.

    Files opened within the last day may be in use and are kept.

    Args:
        folder: The folder of the caches.
        needed: Bytes of the new cache.
        limit: Limit for all caches in bytes.

    Returns:
        Whether the new cache fits; if not, nothing was removed.
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
