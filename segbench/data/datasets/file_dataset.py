"""A split of image and label files."""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Sequence
from pathlib import Path

from segbench.data.base import DatasetInfo, Remark, Sample, SegmentationDataset, hash_of
from segbench.data.cache.digests import file_digests
from segbench.data.datasets.remarks import remarks_on_images, remarks_on_masks
from segbench.data.datasets.samples import check_format, read_pair
from segbench.data.decoding.decoding import turned_images
from segbench.data.decoding.images import READ_RGB, ImageReader
from segbench.data.files.pair import Pair
from segbench.data.masks.masks import LabelDecoder, TableLabels


class FileDataset(SegmentationDataset):
    """A split of pairs of image and label files.

    Args:
        info: Facts that hold for all splits.
        pairs: The files.
        decoder: Reads a label file as (H, W) uint8 class indices or ``IGNORE_INDEX``; must be picklable.
        problems: Problems found while listing the files.
        reader: Reads an image file; by default as 8-bit RGB.
    """

    def __init__(
        self,
        info: DatasetInfo,
        pairs: Sequence[Pair],
        *,
        decoder: LabelDecoder,
        problems: Sequence[str] = (),
        reader: ImageReader = READ_RGB,
    ) -> None:
        self.info = info
        self.pairs = tuple(pairs)
        self._decoder = decoder
        self._reader = reader
        self._names = tuple(pair.name for pair in pairs)
        self._problems = (*problems, *_doubled(pairs))
        self._table = decoder.table if isinstance(decoder, TableLabels) else None

    @property
    def names(self) -> Sequence[str]:
        """The images' names, in the split's order."""
        return self._names

    @property
    def image_ids(self) -> Sequence[str]:
        """The resolved image files, with the page number for later pages."""
        return [os.path.realpath(pair.image) + (f"#{pair.page + 1}" if pair.page else "") for pair in self.pairs]

    @property
    def problems(self) -> Sequence[str]:
        """Missing, unpaired and duplicate files."""
        return self._problems

    @property
    def index_masks(self) -> Sequence[Path]:
        """The mask files without duplicates, if their stored numbers are read."""
        by_index = self._table is not None and self._table.colors is None
        return list(dict.fromkeys(pair.label for pair in self.pairs)) if by_index else []

    def remarks(self, indices: Sequence[int]) -> Sequence[Remark]:
        """Return remarks about how images and masks are stored."""
        pairs = [self.pairs[index] for index in indices]
        return [*remarks_on_images(pairs, self._reader), *(remarks_on_masks(pairs, self._table) if self._table else [])]

    def read(self, index: int) -> Sample:
        """Read one image with its label."""
        pair = self.pairs[index]
        sample = read_pair(
            pair.name,
            pair.image,
            pair.label,
            num_classes=len(self.info.classes),
            decoder=self._decoder,
            reader=self._reader,
            page=pair.page,
        )
        check_format(sample.image, self.info.image_format, source=str(pair.image))
        return sample

    def fingerprint(self) -> str:
        """Return a hash of class names, sample names and file contents, independent of the files' location.

        It also depends on the bands that are read, and on which images the EXIF orientation rotates.

        Raises:
            DataError: A file cannot be read; names it.
        """
        digests = file_digests([path for pair in self.pairs for path in (pair.image, pair.label)])
        turned = turned_images([pair.image for pair in self.pairs], digests[::2])
        contents = [
            (name, image, label, *(["turned"] if image in turned else []))
            for name, image, label in zip(self._names, digests[::2], digests[1::2], strict=True)
        ]
        bands = [] if self._reader.channels is None else [self._reader.channels]
        return hash_of([self.info.name, list(self.info.classes), contents, *bands])

    def cache_key(self) -> str:
        """Return a hash that also depends on how labels are decoded."""
        return hash_of([self.fingerprint(), hashlib.sha256(pickle.dumps(self._decoder)).hexdigest()])


def _doubled(pairs: Sequence[Pair]) -> list[str]:
    """Return a line for each name that several pairs have."""
    images: dict[str, list[Path]] = {}
    for pair in pairs:
        images.setdefault(pair.name, []).append(pair.image)
    return [
        f"{name}: the split lists this image twice"
        if len(set(files)) == 1
        else f"{name}: the split lists several images of this name ({', '.join(sorted({file.name for file in files}))})"
        "; a name without suffix has to be of one image: rename the others"
        for name, files in images.items()
        if len(files) > 1
    ]
