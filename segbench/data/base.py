"""What a data set is: names, images, labels, and the classes the labels speak of."""

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
"""Label of pixels that count nowhere, in every data set after reading."""

Color = tuple[int, int, int]
LabelArray = NDArray[np.uint8]
ImageArray = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]


class ChannelStatistics(NamedTuple):
    """Mean and standard deviation of each channel, as ``normalize`` takes them.

    Attributes:
        mean: Of each channel: of 8-bit images in shares of 255, of others in their own units.
        std: Likewise.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class ImageFormat:
    """What all images of a data set have in common.

    Attributes:
        channels: How many channels.
        dtype: NumPy's name of the type of their pixels: uint8, uint16 or float32.
        statistics: What was measured in the training split; None where nothing was.
    """

    channels: int = 3
    dtype: str = "uint8"
    statistics: ChannelStatistics | None = None

    @property
    def is_rgb8(self) -> bool:
        """Whether they have three channels of 8 bits, as photographs have."""
        return self.channels == 3 and self.dtype == "uint8"

    def __str__(self) -> str:
        return f"{self.channels} channel{'s' * (self.channels != 1)} of {self.dtype}"


EIGHT_BIT_RGB = ImageFormat()
"""What photographs are."""


@dataclass(frozen=True)
class DatasetInfo:
    """What is true of all splits of a data set.

    Attributes:
        name: The data set's name.
        classes: Class names; the label of class ``i`` is ``i``.
        palette: One RGB colour for each class.
        citation: How to cite it.
        channels: Channels of its images.
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
        """Channels and type of the images."""
        return ImageFormat(self.channels, self.dtype)

    def __post_init__(self) -> None:
        if len(self.palette) != len(self.classes):
            raise ValueError(f"{self.name}: {len(self.classes)} classes but {len(self.palette)} colours")


class Sample(NamedTuple):
    """One image with its label.

    Attributes:
        name: The image's name, unique within its split.
        image: (H, W, C), RGB where there are three channels: uint8, uint16 or float32.
        label: (H, W) uint8, class indices or ``IGNORE_INDEX``.
    """

    name: str
    image: ImageArray
    label: LabelArray


class Remark(NamedTuple):
    """What is to be said of images or masks that can be read, but perhaps not as they are meant.

    Attributes:
        kind: What kind of thing; ``lossy`` stops a run unless the suite allows it, the others are notes.
        text: What was found.
    """

    kind: str
    text: str


class SegmentationDataset(ABC):
    """One split of a data set. Reading a sample depends on nothing but its index."""

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
        """Return a hash that changes when the split's content does: what is in its files, or its generator."""

    @property
    def image_ids(self) -> Sequence[str]:
        """What tells each image from all others of the data set, across its splits: the names, or the files.

        Splits that hold an equal one share an image. A data set whose names begin anew in each split, such as ``0001``
        in both, has to override this.
        """
        return self.names

    @property
    def problems(self) -> Sequence[str]:
        """What is known to be wrong, one line each, such as an unpaired file.

        It is asked for before any image is read, and again when all were read: what shows in many files together only,
        such as palettes that differ from mask to mask, may be added meanwhile.
        """
        return ()

    @property
    def index_masks(self) -> Sequence[Path]:
        """Mask files whose stored numbers are read, whatever colours their palettes show them in; they may be left out.

        Splits in whose palettes one number has different colours are refused.
        """
        return ()

    def remarks(self, indices: Sequence[int]) -> Sequence[Remark]:  # noqa: ARG002 - most have none
        """Return what is to be said of how some of the images and masks are stored; their check asks for it once.

        Args:
            indices: The images.
        """
        return ()

    def cache_key(self) -> str:
        """Return a hash under which decoded images may be kept on this machine."""
        return self.fingerprint()

    def prepare(self) -> None:  # noqa: B027 - most data sets have nothing to prepare
        """Do now what all worker processes should share; called before they start."""

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
