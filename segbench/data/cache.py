"""Keeps decoded images in memory, or on disk in one file that is complete or not there."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from segbench.data.base import Sample, SegmentationDataset
from segbench.data.locate import user_cache_folder
from segbench.errors import DataError
from segbench.results.files import temporary_path
from segbench.results.swap import leftovers

MAGIC = b"segbench-cache-1"
"""Starts and ends a cache file; changes with its layout: samples, index as JSON, length of the index, magic."""


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
        places = read_index(self.file, len(dataset))
        if places is None:
            write_cache(self.file, dataset)
            places = read_index(self.file, len(dataset))
        if places is None:
            raise DataError(f"{self.file}: the cache was written but cannot be read back; is the disk in order?")
        self._places = places

    def read(self, index: int) -> Sample:
        """Return a copy of one sample."""
        if self._mapped is None:
            self._mapped = np.memmap(self.file, dtype=np.uint8, mode="r")
        place = self._places[index]
        pixels = place.height * place.width
        stored = np.array(self._mapped[place.offset : place.offset + 4 * pixels])
        image = stored[: 3 * pixels].reshape(place.height, place.width, 3)
        return Sample(self.names[index], image, stored[3 * pixels :].reshape(place.height, place.width))

    def __getstate__(self) -> dict[str, Any]:
        """Leave the map out: each process opens its own."""
        return {**self.__dict__, "_mapped": None}


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
    """Return where each of ``count`` samples lies, or None if the file is missing, torn or damaged anywhere."""
    try:
        content = np.memmap(file, dtype=np.uint8, mode="r")
    except (OSError, ValueError):
        return None
    tail = len(MAGIC) + 8
    if (
        len(content) < len(MAGIC) + tail
        or bytes(content[: len(MAGIC)]) != MAGIC
        or bytes(content[-len(MAGIC) :]) != MAGIC
    ):
        return None
    length = int.from_bytes(bytes(content[-tail : -tail + 8]), "little")
    try:
        places = [_Place(*place) for place in json.loads(bytes(content[-tail - length : -tail]))]
    except (ValueError, TypeError):
        return None
    ends = (place.offset + 4 * place.height * place.width for place in places)
    intact = all(
        zlib.crc32(content[place.offset : end].data) == place.checksum for place, end in zip(places, ends, strict=True)
    )
    return places if intact and len(places) == count else None
