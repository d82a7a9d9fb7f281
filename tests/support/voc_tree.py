"""A small folder in the layout of PASCAL VOC 2012: JPEG images of odd sizes, palette PNGs with 255 borders."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

SPLITS: Mapping[str, Sequence[str]] = {
    "train": ("2007_000001", "2007_000002", "2008_000003", "2009_000004"),
    "val": ("2007_000011", "2010_000012", "2011_000013"),
}
SIZES = ((67, 50), (50, 67), (33, 49), (81, 61))


def build_voc_tree(root: Path, splits: Mapping[str, Sequence[str]] = SPLITS, *, seed: int = 0) -> Path:
    """Write VOCdevkit/VOC2012 under ``root`` and return it; the label's class follows the image's hue."""
    base = root / "VOCdevkit" / "VOC2012"
    listing = base / "ImageSets" / "Segmentation"
    for folder in (listing, base / "JPEGImages", base / "SegmentationClass"):
        folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    names = [name for split in splits.values() for name in split]
    for position, name in enumerate(names):
        image, label = make_pair(rng, SIZES[position % len(SIZES)])
        Image.fromarray(image).save(base / "JPEGImages" / f"{name}.jpg", quality=95)
        save_palette_png(label, base / "SegmentationClass" / f"{name}.png")
    for split, members in {**splits, "trainval": sorted(names)}.items():
        (listing / f"{split}.txt").write_text("".join(f"{name}\n" for name in members))
    return root


def make_pair(rng: np.random.Generator, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return an image with one rectangle of a class, and its label with a void border around the rectangle."""
    height, width = size
    kind = int(rng.integers(1, 21))
    image = rng.integers(90, 120, (height, width, 3)).astype(np.uint8)
    label = np.zeros(size, dtype=np.uint8)
    rows, columns = slice(height // 4, height * 3 // 4), slice(width // 4, width * 3 // 4)
    image[rows, columns] = (kind * 12, 255 - kind * 12, kind % 4 * 60)
    label[rows.start - 2 : rows.stop + 2, columns.start - 2 : columns.stop + 2] = 255
    label[rows, columns] = kind
    return image, label


def save_palette_png(label: np.ndarray, file: Path) -> None:
    """Save labels as VOC does: mode P with a colour for each class."""
    image = Image.fromarray(label)
    image.putpalette([value * 7 % 256 for value in range(768)])
    image.save(file)


def pack_voc_tree(root: Path, file: Path) -> str:
    """Pack a tree as the published archive is packed and return its MD5."""
    with tarfile.open(file, "w") as archive:
        archive.add(root / "VOCdevkit", arcname="VOCdevkit")
    return hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()
