"""Guesses how a person's folder is laid out: where images and masks are, how they pair, which classes there are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segbench.data.base import IGNORE_INDEX
from segbench.data.files import image_files
from segbench.data.stored_masks import read_stored, used_numbers
from segbench.errors import DataError

IMAGE_FOLDERS = ("images", "image", "imgs", "img", "jpegimages", "rgb", "photos", "pictures")
MASK_FOLDERS = (
    *("masks", "mask", "labels", "label", "annotations", "annotation", "annots", "annot", "segmentationclass"),
    *("segmentations", "segmentation", "gt", "groundtruth", "ground_truth", "targets"),
)
TRAIN_SPLITS = ("train", "training", "trn")
TEST_SPLITS = ("test", "testing", "val", "valid", "validation")

_NAMES_TRIED = 5
"""From so many image names the endings of all are guessed."""
_MASKS_READ = 50
"""So many masks are looked into; more would take long and seldom tell more."""
_MOST_COLORS = 64
"""More colours than these are a picture, not a mask."""


@dataclass(frozen=True)
class Found:
    """What was found of a data set.

    Attributes:
        images: Folder of images relative to the root, with ``{split}`` where splits have folders of their own.
        masks: Folder of masks, likewise.
        train_split: The split to train on; None when there are no splits.
        test_split: The split to test on, likewise.
        image_suffix: What follows the common name in image files.
        mask_suffix: What follows the common name in mask files.
        pairs: File names of image and mask without splits, relative to the root; empty when there are splits.
        train_images: How many images the training split has; 0 when there are no splits.
        classes: How many classes the masks hold, 0 when they could not be read.
        palette: The masks' colours when they are RGB pictures.
        values: The masks' value of each class where they are not 0, 1, ..., as in black-and-white masks.
    """

    images: str
    masks: str
    train_split: str | None = None
    test_split: str | None = None
    image_suffix: str = ""
    mask_suffix: str = ""
    pairs: tuple[tuple[str, str], ...] = ()
    train_images: int = 0
    classes: int = 0
    palette: tuple[tuple[int, int, int], ...] = ()
    values: tuple[int, ...] = ()


@dataclass(frozen=True)
class Classes:
    """What the masks tell of the classes.

    Attributes:
        count: How many there are, 0 when no mask could be read.
        palette: Their colours when the masks are RGB pictures.
        values: The mask value of each where they are not 0, 1, ...
    """

    count: int
    palette: tuple[tuple[int, int, int], ...] = ()
    values: tuple[int, ...] = ()


@dataclass(frozen=True)
class _Layout:
    images: str
    masks: str
    splits: tuple[str, str] | None

    def folders(self, root: Path) -> tuple[Path, Path]:
        split = self.splits[0] if self.splits else ""
        return root / self.images.format(split=split), root / self.masks.format(split=split)


def guess(root: Path) -> Found | None:
    """Return what a folder holds, or None when no images with masks are found in it."""
    layout = _layout(root)
    if layout is None:
        return None
    image_folder, mask_folder = layout.folders(root)
    images, masks = _files(image_folder), _files(mask_folder)
    image_suffix, mask_suffix = _suffixes(list(images), list(masks))
    names = [
        (images[name + image_suffix], masks[name + mask_suffix])
        for name in sorted(stem.removesuffix(image_suffix) for stem in images)
        if name + image_suffix in images and name + mask_suffix in masks
    ]
    if not names:
        return None
    classes = _classes([mask for _, mask in names])
    train_split, test_split = layout.splits or (None, None)
    pairs = [(f"{layout.images}/{image.name}", f"{layout.masks}/{mask.name}") for image, mask in names]
    return Found(
        images=layout.images,
        masks=layout.masks,
        train_split=train_split,
        test_split=test_split,
        image_suffix=image_suffix,
        mask_suffix=mask_suffix,
        pairs=() if layout.splits else tuple(pairs),
        train_images=len(pairs) if layout.splits else 0,
        classes=classes.count,
        palette=classes.palette,
        values=classes.values,
    )


def _layout(root: Path) -> _Layout | None:
    """Find images/train and masks/train, or train/images and train/masks, or just images and masks."""
    images, masks = _first(root, IMAGE_FOLDERS), _first(root, MASK_FOLDERS)
    if images and masks:
        train, test = _first(root / images, TRAIN_SPLITS), _first(root / images, TEST_SPLITS)
        if train and test and (root / masks / train).is_dir() and (root / masks / test).is_dir():
            return _Layout(f"{images}/{{split}}", f"{masks}/{{split}}", (train, test))
        return _Layout(images, masks, None)
    train, test = _first(root, TRAIN_SPLITS), _first(root, TEST_SPLITS)
    if train and test:
        images, masks = _first(root / train, IMAGE_FOLDERS), _first(root / train, MASK_FOLDERS)
        if images and masks:
            return _Layout(f"{{split}}/{images}", f"{{split}}/{masks}", (train, test))
    return None


def _first(root: Path, wanted: Iterable[str]) -> str | None:
    folders = {path.name.lower(): path.name for path in root.iterdir() if path.is_dir()} if root.is_dir() else {}
    return next((folders[name] for name in wanted if name in folders), None)


def _files(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in image_files(folder)}


def _suffixes(images: Sequence[str], masks: Sequence[str]) -> tuple[str, str]:
    """Return what follows the common name in images and in masks, such as ``_rgb`` and ``_mask``."""
    tries = {("", "")}
    for image in images[:_NAMES_TRIED]:
        for mask in masks:
            tries |= _endings(image, mask)
    return max(sorted(tries, key=lambda ends: len("".join(ends))), key=lambda ends: _paired(images, masks, ends))


def _endings(image: str, mask: str) -> set[tuple[str, str]]:
    """Return the endings without which two names are one."""
    if mask.startswith(image):
        return {("", mask.removeprefix(image))}
    if image.startswith(mask):
        return {(image.removeprefix(mask), "")}
    heads = [re.split(r"[_-](?=[^_-]*$)", name)[0] for name in (image, mask)]
    return {(image.removeprefix(heads[0]), mask.removeprefix(heads[1]))} if heads[0] == heads[1] else set()


def _paired(images: Sequence[str], masks: Sequence[str], endings: tuple[str, str]) -> int:
    names = [
        {stem.removesuffix(ending) for stem in stems if stem.endswith(ending)}
        for stems, ending in zip((images, masks), endings, strict=True)
    ]
    return len(names[0] & names[1])


def _classes(masks: Sequence[Path]) -> Classes:
    """Look into some masks; those of 0 and 255 only are black and white, two classes and no void."""
    step = max(1, len(masks) // _MASKS_READ)
    values: set[int] = set()
    colors: set[tuple[int, int, int]] = set()
    for mask in masks[::step]:
        try:
            _collect(mask, values, colors)
        except DataError:
            continue
    if colors and len(colors) <= _MOST_COLORS:
        return Classes(len(colors), palette=tuple(sorted(colors)))
    if IGNORE_INDEX in values and values <= {0, IGNORE_INDEX}:
        return Classes(2, values=(0, IGNORE_INDEX))
    values.discard(IGNORE_INDEX)
    return Classes(max(values, default=-1) + 1)


def _collect(mask: Path, values: set[int], colors: set[tuple[int, int, int]]) -> None:
    stored = read_stored(mask)
    if stored.colors is not None:
        unique = np.unique(stored.colors.reshape(-1, 3), axis=0)
        colors.update((int(red), int(green), int(blue)) for red, green, blue in unique[: _MOST_COLORS + 1])
    elif stored.numbers is not None:
        values.update(map(int, used_numbers(stored.numbers)))
