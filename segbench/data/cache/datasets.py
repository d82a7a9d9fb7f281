"""Keeps decoded images in memory, or on disk in one file that is complete or not there."""

from __future__ import annotations

import logging
import os
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segbench.data.base import DerivedDataset, Sample, SegmentationDataset
from segbench.data.cache.files import SampleLocation, cache_file, pixel_bytes, read_index, write_cache
from segbench.data.paths import user_cache_folder
from segbench.errors import DataError

_log = logging.getLogger(__name__)


class MemoryCache(DerivedDataset):
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


class DiskCache(DerivedDataset):
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
        places = read_index(self.file, len(dataset), pixel_bytes(self.info))
        if places is None:
            write_cache(self.file, dataset)
            places = read_index(self.file, len(dataset), pixel_bytes(self.info))
        if places is None:
            raise DataError(f"{self.file}: the cache was written but cannot be read back; is the disk in order?")
        self._places = places
        with suppress(OSError):
            os.utime(self.file)  # when it was last used

    def read(self, index: int) -> Sample:
        """Return a copy of one sample."""
        place = self._places[index]
        stored = self._stored(index, place)
        if stored is None:
            return self.dataset.read(index)
        size = place.height, place.width
        label = stored[-place.height * place.width :].reshape(size)
        image = stored[: -label.size].view(self.info.dtype).reshape(*size, self.info.channels)
        return Sample(self.names[index], image, label)

    def _stored(self, index: int, place: SampleLocation) -> NDArray[np.uint8] | None:
        """Return a copy of a sample's bytes; None where they are not what was written."""
        if index in self._damaged or not self._is_mapped():
            return None
        assert self._mapped is not None
        stored = np.array(self._mapped[place.offset : place.offset + place.size(pixel_bytes(self.info))])
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
