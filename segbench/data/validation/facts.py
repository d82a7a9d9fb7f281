"""What is remembered of a split that was read through: enough to judge it again without another reading."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from segbench.data.base import Remark
from segbench.data.validation.check import DatasetReport

_BLANK = "-"
"""Stands for a blank picture among stored digests."""

REMEMBERED = ("pixel_digest", "pictures", "thick_void_pixels")
"""Keys that facts of an earlier version may lack."""


@dataclass(frozen=True)
class SplitFacts:
    """What a split holds, as far as it is judged.

    Attributes:
        images: Images that could be read with their labels.
        class_pixels: Pixels of each class.
        void_pixels: Pixels that count nowhere.
        thick_void_pixels: Those of them that no thin border explains; None where that is not known.
        remarks: What is to be said of how images and masks are stored.
        problems: One line for every file that is wrong.
        void_images: Names of the images whose pixels are all void.
        pictures: The digest of each picture, in the split's order, None for a blank one; empty where none are known.
        repeats: Names of the images of each picture that occurs more than once.
        relabelled: Those of ``repeats`` whose labels are not all the same.
        thin_classes: Classes that are nowhere more than thin borders between two others; empty where not looked for.
        enclosed_void_pixels: Void pixels with no more than one class around them; None where that is not known.
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
    enclosed_void_pixels: int | None = None

    @property
    def labelled_pixels(self) -> int:
        """Pixels that are of a class."""
        return sum(self.class_pixels.values())

    @property
    def absent_classes(self) -> tuple[str, ...]:
        """Classes that no label holds."""
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
        enclosed_void_pixels=report.enclosed_void_pixels,
    )


def to_json(report: DatasetReport, split: str, *, pictures: bool = True) -> dict[str, Any]:
    """Return what was counted in a split as JSON values.

    Args:
        report: What was found; nothing is wrong with its files.
        split: What the split is called.
        pictures: Whether digests of the pictures are kept.
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
        "enclosed_void_pixels": report.enclosed_void_pixels,
        "pixel_digest": report.pixel_digest,
        **{key: some for key, some in found.items() if some},
        **digests,
    }


def from_json(stored: Mapping[str, Any]) -> SplitFacts:
    """Return what was stored of a split; an earlier version stored less."""
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
        enclosed_void_pixels=stored.get("enclosed_void_pixels"),
    )
