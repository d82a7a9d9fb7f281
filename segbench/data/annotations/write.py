"""Writes annotated images as a folder of images and index masks, from which ``init`` proposes a suite."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from segbench.data.annotations.choices import OVERLAP_RULES, Overlap
from segbench.data.annotations.class_names import ClassNumbers
from segbench.data.annotations.read import Annotations
from segbench.data.annotations.regions import AnnotatedImage, DrawnMask, draw
from segbench.data.base import IGNORE_INDEX, Color, LabelArray
from segbench.data.datasets.folder import default_palette
from segbench.data.masks.class_files import find_class_file
from segbench.errors import DataError

CLASS_FILE = "class_names.txt"
IMAGES, MASKS = "images", "masks"
_VOID_COLOR: Color = (224, 224, 192)
_SHOWN = 8
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Converted:
    """What was written.

    Attributes:
        images: How many images.
        classes: The names of the classes 0, 1, ...
        pixels: Pixels of each class.
        void_pixels: Pixels that count nowhere.
        notes: What was decided, in sentences with counts.
    """

    images: int
    classes: tuple[str, ...]
    pixels: tuple[int, ...]
    void_pixels: int
    notes: tuple[str, ...]


def write_masks(
    annotations: Annotations,
    classes: ClassNumbers,
    out: Path,
    *,
    overlap: Overlap,
    link: bool = False,
    progress: Progress | None = None,
) -> Converted:
    """Write images, masks and the names of the classes; the folder appears whole or not at all.

    Args:
        annotations: What to draw.
        classes: The number of each label.
        out: The folder, which must not hold anything yet.
        overlap: What pixels of several classes are.
        link: Whether to link to the images in place of copying them.
        progress: Called after each image with how many are done, and of how many.

    Raises:
        DataError: The folder holds something, or cannot be written.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out}: exists already and is left as it is; give --out a folder that is new or empty")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as made:
            place = Path(made) / "converted"
            found = _written(annotations, classes, place, overlap=overlap, link=link, progress=progress)
            place.replace(out)
    except OSError as error:
        raise DataError(f"{out}: cannot be written: {error}") from None
    return found


def _written(
    annotations: Annotations,
    classes: ClassNumbers,
    place: Path,
    *,
    overlap: Overlap,
    link: bool,
    progress: Progress | None,
) -> Converted:
    images = annotations.source.images
    histogram = np.zeros(256, dtype=np.int64)
    told: Counter[str] = Counter()
    place.mkdir()
    for done, image in enumerate(images, 1):
        drawn = draw(image, classes.numbers, rest=classes.rest, overlap=overlap)
        histogram += np.bincount(drawn.labels.ravel(), minlength=256)
        told += _told(drawn)
        _write_image(image, place / IMAGES / image.name, link=link)
        mask = place / MASKS / PurePosixPath(image.name).with_suffix(".png")
        mask.parent.mkdir(parents=True, exist_ok=True)
        _save_mask(drawn.labels, mask, len(classes.names))
        if progress is not None:
            progress(done, len(images))
    (place / CLASS_FILE).write_text("".join(f"{name}\n" for name in classes.names), encoding="utf-8")
    pixels = tuple(histogram[: len(classes.names)].tolist())
    void = int(histogram[IGNORE_INDEX])
    notes = [
        *_counted_notes(annotations, told, overlap),
        *annotations.source.notes,
        *_class_notes(classes, pixels, place, annotations),
    ]
    return Converted(len(images), classes.names, pixels, void, tuple(notes))


def _told(drawn: DrawnMask) -> Counter[str]:
    shared = drawn.shared_pixels
    return Counter({"shared": shared, "images that share": shared > 0, "void": drawn.void_pixels})


def _counted_notes(annotations: Annotations, told: Counter[str], overlap: Overlap) -> list[str]:
    notes = [text.format(f"{count:,}") for text, count in annotations.source.noticed.items() if count]
    if told["void"]:
        notes.append(f"{told['void']:,} pixels are void (255) for such crowds, segments or boxes")
    if told["shared"]:
        notes.append(
            f"regions of different classes overlap in {told['shared']:,} pixels of {told['images that share']:,} "
            f"images: {OVERLAP_RULES[overlap]} (--overlap {overlap})"
        )
    turned = sum(image.is_turned for image in annotations.source.images)
    if turned:
        notes.append(
            f"{turned:,} images are turned by their EXIF orientation: annotations are taken to be of what viewers show"
        )
    return notes


def _class_notes(classes: ClassNumbers, pixels: Sequence[int], place: Path, annotations: Annotations) -> list[str]:
    notes = []
    if classes.others:
        what = "void" if classes.numbers[classes.others[0]] == IGNORE_INDEX else "background"
        notes.append(f"labels that no class is named for are {what}: {_some(classes.others)}")
    absent = [name for name, count in zip(classes.names, pixels, strict=True) if not count]
    if absent:
        remedy = "list the classes to keep in a file of --classes" if annotations.kind != "LabelMe" else "see --classes"
        notes.append(
            f"no pixel is of {_some(absent)}; they stay classes, so that numbers are the same in every conversion; to "
            f"leave them out, {remedy}"
        )
    known = find_class_file([place])
    if known is None or known.in_order != classes.names:
        notes.append(
            f"the class names are not plain words, so that 'segbench init' may not read them from {CLASS_FILE}"
        )
    return notes


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else "")


def _write_image(image: AnnotatedImage, target: Path, *, link: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if image.content is not None:
        target.write_bytes(image.content)
    elif link and image.file is not None:
        target.symlink_to(os.path.realpath(image.file))
    elif image.file is not None:
        shutil.copyfile(image.file, target)


def _save_mask(labels: LabelArray, path: Path, count: int) -> None:
    """Save class numbers as a palette PNG: black first, and void in the colour that PASCAL VOC gives it."""
    colors = [(0, 0, 0), *default_palette(256)[: count - 1]]
    colors += [(0, 0, 0)] * (256 - len(colors))
    colors[IGNORE_INDEX] = _VOID_COLOR
    picture = Image.fromarray(labels)
    picture.putpalette([part for color in colors for part in color])
    picture.save(path)
