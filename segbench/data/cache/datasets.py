"""Caches decoded images in memory, or on disk in one file per split."""

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
        """Decode all images that are not in the cache."""
        for index in range(len(self)):
            self.read(index)

    def read(self, index: int) -> Sample:
        """Return one sample, decoded at most once; its arrays are shared and must not be modified."""
        if index not in self._samples:
            self._samples[index] = self.dataset.read(index)
        return self._samples[index]


class DiskCache(DerivedDataset):
    """Caches a split as raw bytes in one memory-mapped file that all processes share.

    Each process verifies a sample on its first read. If it is damaged or the file is gone, the sample is decoded again.
    The file is then removed, so that the next run rebuilds it.

    Args:
        dataset: The split.
        folder: The folder of the file; by default the user's cache folder. The file is named by the split's cache key.

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
            os.utime(self.file)  # marks it as recently used

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
        """Return a copy of a sample's bytes; None if they are damaged."""
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
        """Map the file if needed; return whether it is mapped."""
        with suppress(OSError, ValueError):
            if self._mapped is None:
                self._inode = self.file.stat().st_ino
                self._mapped = np.memmap(self.file, dtype=np.uint8, mode="r")
        return self._mapped is not None

    def _discard(self, index: int) -> None:
        """Mark a sample as damaged and remove the file, unless another run has rebuilt it."""
        if not self._damaged:
            _log.warning("%s: is damaged at %s; it will be rebuilt", self.file, self.names[index])
        self._damaged.add(index)
        with suppress(OSError):
            if self.file.stat().st_ino == self._inode:
                self.file.unlink()

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the memory map, since each process opens its own."""
        return {**self.__dict__, "_mapped": None, "_checked": set(), "_damaged": set()}
