"""Reads a whole split and counts what is in it; what cannot be read is collected, not raised."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median

import numpy as np

from segbench.data.base import IGNORE_INDEX, Remark, Sample, SegmentationDataset
from segbench.data.masks.thin_values import ThinValues, places_of
from segbench.data.masks.void_borders import enclosed_pixels, thick_pixels
from segbench.data.validation.equal_pictures import picture_digest, repeated
from segbench.data.validation.pixel_digest import PixelDigest
from segbench.errors import DataError

Progress = Callable[[int, int], None]
"""Called with the images read so far and the images in all."""


@dataclass(frozen=True)
class DatasetReport:
    """What a split holds.

    Attributes:
        name: The data set's name.
        classes: The class names.
        images: Images that could be read with their labels.
        sizes: (height, width) in pixels -> number of images.
        class_pixels: Pixels of each class.
        class_image_pixels: For each class, all pixels of the images where it occurs.
        class_images: For each class, the images in which it occurs.
        void_pixels: Pixels that count nowhere.
        thick_void_pixels: Those of them that no thin border explains.
        remarks: What is to be said of how images and masks are stored.
        problems: One line for every file that is wrong.
        pixel_digest: Hash of names and decoded pixels; None where an image could not be read.
        void_images: Names of the images whose pixels are all void.
        pictures: The ``picture_digest`` of each image, in the split's order.
        repeats: Names of the images of each picture that occurs more than once.
        relabelled: Those of ``repeats`` whose labels are not all the same.
        thin_classes: Classes that are nowhere more than thin borders between two others.
        enclosed_void_pixels: Void pixels with no more than one class around them.
    """

    name: str
    classes: tuple[str, ...]
    images: int
    sizes: Mapping[tuple[int, int], int]
    class_pixels: tuple[int, ...]
    class_image_pixels: tuple[int, ...]
    class_images: tuple[int, ...]
    void_pixels: int
    problems: tuple[str, ...]
    pixel_digest: str | None = None
    void_images: tuple[str, ...] = ()
    pictures: tuple[str | None, ...] = ()
    repeats: tuple[tuple[str, ...], ...] = ()
    relabelled: tuple[tuple[str, ...], ...] = ()
    thick_void_pixels: int = 0
    remarks: tuple[Remark, ...] = ()
    thin_classes: tuple[str, ...] = ()
    enclosed_void_pixels: int = 0

    @property
    def class_frequencies(self) -> tuple[float, ...]:
        """Share of each class among the pixels that are not void; zeros if there are none."""
        total = sum(self.class_pixels)
        return tuple(pixels / total if total else 0.0 for pixels in self.class_pixels)


def check_dataset(dataset: SegmentationDataset, *, progress: Progress | None = None) -> DatasetReport:
    """Read every image of a split; problems are collected, not raised."""
    return check_parts(dataset, {"": range(len(dataset))}, progress=progress)[""]


def check_parts(
    dataset: SegmentationDataset, parts: Mapping[str, Iterable[int]], *, progress: Progress | None = None
) -> dict[str, DatasetReport]:
    """Read every image of a split once, and report each of several parts of it; problems are collected, not raised.

    What the data set knows to be wrong is asked for before and after reading, since some of it shows in all files
    together only.

    Args:
        dataset: The split.
        parts: By name, the images of each part; an image may be in several.
        progress: Called after each image.
    """
    members = {name: frozenset(indices) for name, indices in parts.items()}
    before = list(dataset.problems)
    counted = {name: _Counts(dataset.info.classes, problems=list(before)) for name in parts}
    for name, indices in members.items():
        if not indices:
            counted[name].problems.append("the split holds no complete pair of image and label")
    for index in range(len(dataset)):
        concerned = [counts for name, counts in counted.items() if index in members[name]]
        try:
            sample = dataset.read(index)
            digest = picture_digest(sample.image)
            for counts in concerned:
                counts.add(sample, digest)
            _add_places(sample, dataset.info.classes, [counts.thin for counts in concerned])
        except DataError as error:
            for counts in concerned:
                counts.problems.append(str(error))
        if progress is not None:
            progress(index + 1, len(dataset))
    found_in_reading = [problem for problem in dataset.problems if problem not in before]
    for counts in counted.values():
        counts.problems += found_in_reading
    remarks = {name: tuple(dataset.remarks(sorted(indices))) for name, indices in members.items()}
    return {name: replace(counts.report(dataset.info.name), remarks=remarks[name]) for name, counts in counted.items()}


def _add_places(sample: Sample, classes: Sequence[str], parts: Sequence[ThinValues]) -> None:
    """Count where the classes of an image lie, in those parts of a split in which one of them may still be thin."""
    histogram = np.bincount(sample.label.ravel(), minlength=256)
    present = [name for name, pixels in zip(classes, histogram, strict=False) if pixels]
    waiting = [thin for thin in parts if any(map(thin.may_be_thin, present))]
    if waiting:
        places = places_of(sample.label, classes)
        for thin in waiting:
            thin.add(places)


def median_frequency_weights(report: DatasetReport) -> tuple[float, ...]:
    """Return the class weights that balance a loss by median frequency.

    The frequency of a class is its pixels divided by all pixels of the images where it occurs; its weight is the
    median of all frequencies divided by its own (D. Eigen, R. Fergus, ICCV 2015, section 6.3.2; used by SegNet).
    A class that never occurs weighs 0.
    """
    pairs = zip(report.class_pixels, report.class_image_pixels, strict=True)
    frequencies = [pixels / image_pixels if pixels else 0.0 for pixels, image_pixels in pairs]
    present = [frequency for frequency in frequencies if frequency > 0]
    if not present:
        raise DataError(f"{report.name}: no pixel of any class was found, so that classes cannot be weighted")
    middle = median(present)
    return tuple(middle / frequency if frequency else 0.0 for frequency in frequencies)


@dataclass
class _Counts:
    classes: tuple[str, ...]
    problems: list[str]
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    void_pixels: int = 0
    thick_void_pixels: int = 0
    enclosed_void_pixels: int = 0
    void_images: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    pictures: list[str | None] = field(default_factory=list)
    labels: list[bytes] = field(default_factory=list)
    thin: ThinValues = field(default_factory=ThinValues)

    def __post_init__(self) -> None:
        self.pixels = PixelDigest(self.classes)
        self.class_pixels = np.zeros(len(self.classes), dtype=np.int64)
        self.class_image_pixels = np.zeros(len(self.classes), dtype=np.int64)
        self.class_images = np.zeros(len(self.classes), dtype=np.int64)

    def add(self, sample: Sample, picture: str | None) -> None:
        """Count one image, given its ``picture_digest``."""
        self.pixels.add(sample)
        label = sample.label
        height, width = label.shape
        histogram = np.bincount(label.ravel(), minlength=256)
        pixels = histogram[: len(self.classes)]
        self.sizes[height, width] += 1
        self.void_pixels += int(histogram[IGNORE_INDEX])
        if histogram[IGNORE_INDEX]:
            self.thick_void_pixels += thick_pixels(label == IGNORE_INDEX)
            self.enclosed_void_pixels += enclosed_pixels(label, label == IGNORE_INDEX)
        self.class_pixels += pixels
        self.class_image_pixels += np.where(pixels > 0, label.size, 0)
        self.class_images += pixels > 0
        if histogram[IGNORE_INDEX] == label.size:
            self.void_images.append(sample.name)
        self.names.append(sample.name)
        self.pictures.append(picture)
        self.labels.append(hashlib.sha256(np.ascontiguousarray(label).data).digest())

    def report(self, dataset: str) -> DatasetReport:
        """Return what was counted in images of a data set."""
        same = repeated(self.pictures)
        return DatasetReport(
            name=dataset,
            classes=self.classes,
            images=sum(self.sizes.values()),
            sizes=dict(self.sizes),
            class_pixels=tuple(self.class_pixels.tolist()),
            class_image_pixels=tuple(self.class_image_pixels.tolist()),
            class_images=tuple(self.class_images.tolist()),
            void_pixels=self.void_pixels,
            thick_void_pixels=self.thick_void_pixels,
            enclosed_void_pixels=self.enclosed_void_pixels,
            problems=tuple(self.problems),
            pixel_digest=None if self.problems else self.pixels.hexdigest(),
            void_images=tuple(self.void_images),
            pictures=tuple(self.pictures),
            repeats=self._named(same),
            relabelled=self._named(one for one in same if len({self.labels[index] for index in one}) > 1),
            thin_classes=self.thin.thin,
        )

    def _named(self, groups: Iterable[tuple[int, ...]]) -> tuple[tuple[str, ...], ...]:
        return tuple(tuple(self.names[index] for index in group) for group in groups)
