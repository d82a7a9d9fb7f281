"""Keeps decoded images in memory, or on disk in one file that is complete or not there."""

from __future__ import annotations

import json
import logging
import os
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segbench.data.base import Sample, SegmentationDataset
from segbench.data.locate import user_cache_folder
from segbench.errors import DataError
from segbench.results.files import temporary_path
from segbench.results.swap import leftovers

MAGIC = b"segbench-cache-1"
"""Starts and ends a cache file; changes with its layout: samples, index as JSON, length of the index, magic."""

_TAIL = 8 + len(MAGIC)
"""Bytes behind the index."""

_IN_USE_SECONDS = 24 * 3600
_log = logging.getLogger(__name__)


class CachedDataset(SegmentationDataset):
    """A split whose images are decoded once."""

    def __init__(self, dataset: SegmentationDataset) -> None:
        self.dataset, self.info = dataset, dataset.info

    @property
    def names(self) -> Sequence[str]:
        """The images' names."""
        return self.dataset.names

    @property
    def image_ids(self) -> Sequence[str]:
        """What tells the images from those of other splits."""
        return self.dataset.image_ids

    @property
    def problems(self) -> Sequence[str]:
        """What is wrong with the split."""
        return self.dataset.problems

    def fingerprint(self) -> str:
        """Return the split's fingerprint: caching changes nothing."""
        return self.dataset.fingerprint()

    def cache_key(self) -> str:
        """Return the split's key."""
        return self.dataset.cache_key()


class MemoryCache(CachedDataset):
    """Keeps every sample of a split in this process; ``prepare`` fills it before workers are forked."""

    def __init__(self, dataset: SegmentationDataset) -> None:
        super().__init__(dataset)
        self._samples: dict[int, Sample] = {}

    def prepare(self) -> None:
        """Decode every image that was not read yet."""
        for index in range(len(self)):
            self.read(index)

    def read(self, index: int) -> Sample:
        """Return one image, decoded at most once; its arrays are shared and must not be changed."""
        if index not in self._samples:
            self._samples[index] = self.dataset.read(index)
        return self._samples[index]


class _Place(NamedTuple):
    """Where a sample lies in the cache file."""

    offset: int
    height: int
    width: int
    checksum: int


class DiskCache(CachedDataset):
    """Keeps a split as raw bytes in one memory-mapped file, which all processes share.

    Each process checks each sample when it first reads it. One that is damaged, or gone with its file, is decoded anew;
    the file is removed, so that the next run makes another.

    Args:
        dataset: The split.
        folder: Where the file lies; the user's cache folder by default. Its name is the split's cache key.

    Raises:
        DataError: The cache cannot be written.
    """

    def __init__(self, dataset: SegmentationDataset, *, folder: Path | None = None) -> None:
        super().__init__(dataset)
        self.file = cache_file(dataset, folder or user_cache_folder())
        self._mapped: np.memmap[Any, np.dtype[np.uint8]] | None = None
        self._inode: int | None = None
        self._checked: set[int] = set()
        self._damaged: set[int] = set()
        places = read_index(self.file, len(dataset))
        if places is None:
            write_cache(self.file, dataset)
            places = read_index(self.file, len(dataset))
        if places is None:
            raise DataError(f"{self.file}: the cache was written but cannot be read back; is the disk in order?")
        self._places = places
        with suppress(OSError):
            os.utime(self.file)  # when it was last used

    def read(self, index: int) -> Sample:
        """Return a copy of one sample."""
        place = self._places[index]
        pixels = place.height * place.width
        stored = self._stored(index, place)
        if stored is None:
            return self.dataset.read(index)
        image = stored[: 3 * pixels].reshape(place.height, place.width, 3)
        return Sample(self.names[index], image, stored[3 * pixels :].reshape(place.height, place.width))

    def _stored(self, index: int, place: _Place) -> NDArray[np.uint8] | None:
        """Return a copy of a sample's bytes; None where they are not what was written."""
        if index in self._damaged or not self._is_mapped():
            return None
        assert self._mapped is not None
        stored = np.array(self._mapped[place.offset : place.offset + 4 * place.height * place.width])
        if index not in self._checked:
            if zlib.crc32(stored.data) != place.checksum:
                self._discard(index)
                return None
            self._checked.add(index)
        return stored

    def _is_mapped(self) -> bool:
        """Map the file, if that was not done yet; return whether it is."""
        with suppress(OSError, ValueError):
            if self._mapped is None:
                self._inode = self.file.stat().st_ino
                self._mapped = np.memmap(self.file, dtype=np.uint8, mode="r")
        return self._mapped is not None

    def _discard(self, index: int) -> None:
        """Remember that a sample is damaged, and remove the file, unless another run has made it anew meanwhile."""
        if not self._damaged:
            _log.warning("%s: is damaged at %s; it will be made anew", self.file, self.names[index])
        self._damaged.add(index)
        with suppress(OSError):
            if self.file.stat().st_ino == self._inode:
                self.file.unlink()

    def __getstate__(self) -> dict[str, Any]:
        """Leave the map out: each process opens its own."""
        return {**self.__dict__, "_mapped": None, "_checked": set(), "_damaged": set()}


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


def _write_samples(output: Any, dataset: SegmentationDataset) -> Iterator[_Place]:
    output.write(MAGIC)
    offset = len(MAGIC)
    for index in range(len(dataset)):
        sample = dataset.read(index)
        content = np.ascontiguousarray(sample.image).tobytes() + np.ascontiguousarray(sample.label).tobytes()
        output.write(content)
        height, width = sample.label.shape
        yield _Place(offset, height, width, zlib.crc32(content))
        offset += len(content)


def read_index(file: Path, count: int) -> list[_Place] | None:
    """Return where each of ``count`` samples lies, or None if the file is missing or not whole.

    The samples themselves are not looked at: of a large split that would take as long as an epoch.
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
            places = [_Place(*place) for place in json.loads(stream.read(length))]
        offset = len(MAGIC)
        for place in places:
            if place.offset != offset or any(type(value) is not int for value in place):
                return None
            offset += 4 * place.height * place.width
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
            return stream.read(len(MAGIC)) == MAGIC
    except OSError:
        return False
