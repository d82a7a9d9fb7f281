"""Stored facts of a checked split, sufficient to judge it again without reading it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from segbench.data.base import Remark
from segbench.data.validation.check import DatasetReport

_BLANK = "-"
"""Marks a blank picture in stored digests."""

REMEMBERED = ("pixel_digest", "pictures", "thick_void_pixels")
"""Keys that facts stored by earlier versions may lack."""


@dataclass(frozen=True)
class SplitFacts:
    """The facts of a split that are judged.

    Attributes:
        images: Number of images that could be read with their labels.
        class_pixels: Number of pixels of each class.
        void_pixels: Number of void pixels.
        thick_void_pixels: Number of void pixels outside thin borders; None if not known.
        remarks: Remarks about how images and masks are stored.
        problems: A line for each invalid file.
        void_images: Names of the images whose pixels are all void.
        pictures: The digest of each picture in order, None for a blank one; empty if not known.
        repeats: Names of the images of each repeated picture.
        relabelled: The entries of ``repeats`` whose labels differ.
        thin_classes: Classes that occur only as thin borders between two others; empty if not checked.
    """

    images: int
    class_pixels: Mapping[str, int]
    void_pixels: int
    problems: tuple[str, ...] = ()
    void_images: tuple[str, ...] = ()
    pictures: tuple[str | None, ...] = ()
    repeats: tuple[tuple[str, ...], ...] = ()
    relabelled: tuple[tuple[str, ...], ...] = ()
    thick_void_pixels: int | None = None
    remarks: tuple[Remark, ...] = ()
    thin_classes: tuple[str, ...] = ()

    @property
    def labelled_pixels(self) -> int:
        """Number of labelled pixels."""
        return sum(self.class_pixels.values())

    @property
    def absent_classes(self) -> tuple[str, ...]:
        """Classes without pixels."""
        return tuple(name for name, pixels in self.class_pixels.items() if not pixels)


def facts_of(report: DatasetReport) -> SplitFacts:
    """Return the facts of a split that was just read."""
    return SplitFacts(
        images=report.images,
        class_pixels=dict(zip(report.classes, report.class_pixels, strict=True)),
        void_pixels=report.void_pixels,
        problems=report.problems,
        void_images=report.void_images,
        pictures=report.pictures,
        repeats=report.repeats,
        relabelled=report.relabelled,
        thick_void_pixels=report.thick_void_pixels,
        remarks=report.remarks,
        thin_classes=report.thin_classes,
    )


def to_json(report: DatasetReport, split: str, *, pictures: bool = True) -> dict[str, Any]:
    """Return the facts of a split as JSON values.

    Args:
        report: The report of a split without problems.
        split: Name of the split.
        pictures: Whether to store the digests of pictures.
    """
    digests = {"pictures": " ".join(digest or _BLANK for digest in report.pictures)} if pictures else {}
    found = {
        "void_images": list(report.void_images),
        "repeats": [list(names) for names in report.repeats],
        "relabelled": [list(names) for names in report.relabelled],
        "remarks": [list(remark) for remark in report.remarks],
        "thin_classes": list(report.thin_classes),
    }
    return {
        "dataset": report.name,
        "split": split,
        "images": report.images,
        "sizes": {f"{height}x{width}": count for (height, width), count in report.sizes.items()},
        "class_pixels": dict(zip(report.classes, report.class_pixels, strict=True)),
        "void_pixels": report.void_pixels,
        "thick_void_pixels": report.thick_void_pixels,
        "pixel_digest": report.pixel_digest,
        **{key: some for key, some in found.items() if some},
        **digests,
    }


def from_json(stored: Mapping[str, Any]) -> SplitFacts:
    """Read stored facts of a split; earlier versions stored fewer."""
    return SplitFacts(
        images=stored["images"],
        class_pixels=stored["class_pixels"],
        void_pixels=stored["void_pixels"],
        void_images=tuple(stored.get("void_images", ())),
        pictures=tuple(None if digest == _BLANK else digest for digest in stored.get("pictures", "").split()),
        repeats=tuple(map(tuple, stored.get("repeats", ()))),
        relabelled=tuple(map(tuple, stored.get("relabelled", ()))),
        thick_void_pixels=stored.get("thick_void_pixels"),
        remarks=tuple(Remark(*remark) for remark in stored.get("remarks", ())),
        thin_classes=tuple(stored.get("thin_classes", ())),
    )
