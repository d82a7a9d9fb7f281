"""The interface of data sets: names, images, labels and classes."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

IGNORE_INDEX = 255
"""Label of void pixels in all decoded labels."""

Color = tuple[int, int, int]
LabelArray = NDArray[np.uint8]
ImageArray = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]


class ChannelStatistics(NamedTuple):
    """Mean and standard deviation of each channel, as ``normalize`` takes them.

    Attributes:
        mean: Mean of each channel; in fractions of 255 for 8-bit images, else in the images' units.
        std: Standard deviation of each channel, likewise.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class ImageFormat:
    """Channels and dtype of all images of a data set.

    Attributes:
        channels: Number of channels.
        dtype: NumPy's name of the type of their pixels: uint8, uint16 or float32.
        statistics: What was measured in the training split; None where nothing was.
    """

    channels: int = 3
    dtype: str = "uint8"
    statistics: ChannelStatistics | None = None

    @property
    def is_rgb8(self) -> bool:
        """Whether they have three 8-bit channels."""
        return self.channels == 3 and self.dtype == "uint8"

    def __str__(self) -> str:
        return f"{self.channels} channel{'s' * (self.channels != 1)} of {self.dtype}"


EIGHT_BIT_RGB = ImageFormat()
"""The format of photographs."""


@dataclass(frozen=True)
class DatasetInfo:
    """Facts that hold for all splits of a data set.

    Attributes:
        name: The data set's name.
        classes: Class names; the label of class ``i`` is ``i``.
        palette: One RGB colour for each class.
        citation: How to cite it.
        channels: Number of image channels.
        dtype: NumPy's name of the type of their pixels: uint8, uint16 or float32.
    """

    name: str
    classes: tuple[str, ...]
    palette: tuple[Color, ...]
    citation: str = ""
    channels: int = 3
    dtype: str = "uint8"

    @property
    def image_format(self) -> ImageFormat:
        """The format of the images."""
        return ImageFormat(self.channels, self.dtype)

    def __post_init__(self) -> None:
        if len(self.palette) != len(self.classes):
            raise ValueError(f"{self.name}: {len(self.classes)} classes but {len(self.palette)} colours")


class Sample(NamedTuple):
    """One image with its label.

    Attributes:
        name: The image's name, unique within its split.
        image: (H, W, C) uint8, uint16 or float32; three channels are RGB.
        label: (H, W) uint8, class indices or ``IGNORE_INDEX``.
    """

    name: str
    image: ImageArray
    label: LabelArray


class Remark(NamedTuple):
    """A remark about images or masks that can be read, but may be stored differently than intended.

    Attributes:
        kind: The kind of remark; ``lossy`` stops a run unless the suite allows it, other kinds are notes.
        text: What was found.
    """

    kind: str
    text: str


class SegmentationDataset(ABC):
    """One split of a data set. The content of a sample depends only on its index."""

    info: DatasetInfo

    @property
    @abstractmethod
    def names(self) -> Sequence[str]:
        """The images' names, in the split's order."""

    @abstractmethod
    def read(self, index: int) -> Sample:
        """Return one image with its label.

        Raises:
            DataError: A file cannot be read, sizes differ or a label is out of range; names the file.
        """

    @abstractmethod
    def fingerprint(self) -> str:
        """Return a hash of the split's content: of its files, or of its generator."""

    @property
    def image_ids(self) -> Sequence[str]:
        """Ids of the images that are unique across the splits of the data set: names or files.

        Splits with an equal id share an image. A data set that uses a name such as ``0001`` in several splits must
        override this.
        """
        return self.names

    @property
    def problems(self) -> Sequence[str]:
        """Known problems, one line each, such as an unpaired file.

        It is read before the first image and again after all images. Problems that show only in many files together,
        such as differing palettes, may be added in between.
        """
        return ()

    @property
    def index_masks(self) -> Sequence[Path]:
        """Mask files of which the stored numbers are read and palettes are ignored; optional.

        Splits whose palettes show one number in different colours are refused.
        """
        return ()

    def remarks(self, indices: Sequence[int]) -> Sequence[Remark]:  # noqa: ARG002 - most have none
        """Return remarks about how images and masks are stored; the data check calls this once.

        Args:
            indices: Indices of the images.
        """
        return ()

    def cache_key(self) -> str:
        """Return the key for caching decoded images on this machine."""
        return self.fingerprint()

    def prepare(self) -> None:  # noqa: B027 - most data sets have nothing to prepare
        """Prepare what all worker processes share; called before they start."""

    def __len__(self) -> int:
        return len(self.names)


class DerivedDataset(SegmentationDataset):
    """A split that is made of another one; what it does not change is the other's.

    Attributes:
        dataset: The other one.
    """

    def __init__(self, dataset: SegmentationDataset) -> None:
        self.dataset, self.info = dataset, dataset.info

    @property
    def names(self) -> Sequence[str]:
        """The other's names."""
        return self.dataset.names

    @property
    def image_ids(self) -> Sequence[str]:
        """What tells the other's images from those of other splits."""
        return self.dataset.image_ids

    @property
    def problems(self) -> Sequence[str]:
        """What is wrong with the other."""
        return self.dataset.problems

    @property
    def index_masks(self) -> Sequence[Path]:
        """Mask files of the other whose stored numbers are read."""
        return self.dataset.index_masks

    def remarks(self, indices: Sequence[int]) -> Sequence[Remark]:
        """Return what is to be said of some of the other's images."""
        return self.dataset.remarks(indices)

    def fingerprint(self) -> str:
        """Return the other's fingerprint."""
        return self.dataset.fingerprint()

    def cache_key(self) -> str:
        """Return the other's key."""
        return self.dataset.cache_key()


def hash_of(content: object) -> str:
    """Return the SHA-256 of what JSON can hold, as fingerprints of data sets are made."""
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
