"""Describes a folder in which no images with masks were found, and what to do about it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

from segbench.data.files.image_folder import IMAGE_SUFFIXES, ImageFolder, below, folders_below, is_folder, visible
from segbench.data.guess.panoptic import describes_segments

_MOST_LINES = 10
_MOST_FOLDERS = 5
_MOST_DOUBLES = 2
_LARGEST_JSON = 300_000_000
_KINDS = {
    ".nii": "NIfTI volumes cannot be read: save their slices as PNG or TIFF, images and masks alike",
    ".nii.gz": "NIfTI volumes cannot be read: save their slices as PNG or TIFF, images and masks alike",
    ".dcm": "DICOM files cannot be read: save them as PNG or TIFF with 16 bits",
    ".npy": "NumPy arrays cannot be read: save images and class numbers as PNG or TIFF",
    ".npz": "NumPy arrays cannot be read: save images and class numbers as PNG or TIFF",
    ".mat": "MATLAB files cannot be read: save the class numbers as PNG",
    ".h5": "HDF5 files cannot be read: save images and class numbers as PNG or TIFF",
    ".zip": "archives are not looked into: unpack them",
    ".tar": "archives are not looked into: unpack them",
    ".gz": "archives are not looked into: unpack them",
}
"""File types of other tools for images or masks, and what to do about them."""

_PANOPTIC = (
    "COCO panoptic annotations ({told}): the colours of its PNG files are numbers of segments, and no classes; "
    "segbench reads masks; draw them with panopticapi's panoptic2semantic_segmentation, one PNG for each image"
)


def what_was_seen(root: Path) -> list[str]:
    """Return at most ten lines about the files of a folder; none if it is empty or missing."""
    folders = {folder: _kinds(folder) for folder in folders_below(root)} if root.is_dir() else {}
    filled = {folder: kinds for folder, kinds in folders.items() if kinds}
    lines = [_folder_line(root, folder, kinds) for folder, kinds in list(filled.items())[:_MOST_FOLDERS]]
    if len(filled) > _MOST_FOLDERS:
        lines.append(f"and {len(filled) - _MOST_FOLDERS:,} more folders")
    kinds = {kind for found in filled.values() for kind in found}
    advice = [*_annotations(filled), *dict.fromkeys(_KINDS[kind] for kind in sorted(kinds & _KINDS.keys()))]
    advice += _doubles(root, filled)
    if lines and not advice:
        advice.append(_missing(kinds))
    return [*lines, *advice][:_MOST_LINES]


def _doubles(root: Path, folders: Iterable[Path]) -> list[str]:
    """Return the first ambiguous names of images in one folder, which cannot be paired."""
    problems = (problem for folder in folders for problem in ImageFolder(folder).problems)
    return [below(root, problem) for problem in islice(problems, _MOST_DOUBLES)]


def _kinds(folder: Path) -> Counter[str]:
    return Counter(_kind(entry.name) for entry in visible(folder) if not is_folder(entry))


def _kind(name: str) -> str:
    return ".nii.gz" if name.lower().endswith(".nii.gz") else Path(name).suffix.lower()


def _folder_line(root: Path, folder: Path, kinds: Counter[str]) -> str:
    shown = ", ".join(f"{count:,} {kind or 'without suffix'}" for kind, count in kinds.most_common(4))
    return f"{folder.relative_to(root).as_posix() if folder != root else folder}: {shown}"


def _missing(kinds: Iterable[str]) -> str:
    if set(kinds) & set(IMAGE_SUFFIXES):
        return (
            "no folder of masks with the names of images was found: put images into images/ and masks of the same "
            "names into masks/ (photo.jpg and photo.png or photo_mask.png), or list both on each line of train.txt"
        )
    return f"no images were found; those of {', '.join(IMAGE_SUFFIXES)} are read"


def _annotations(folders: dict[Path, Counter[str]]) -> list[str]:
    """Describe JSON files that are annotations of a known format."""
    found = []
    for folder in [folder for folder, kinds in folders.items() if ".json" in kinds]:
        files = [Path(entry.path) for entry in visible(folder) if entry.name.lower().endswith(".json")]
        files.sort(key=lambda file: ("panoptic" not in file.name.lower(), file))
        line = next((line for file in files[:5] if (line := _annotation_line(file, files))), None)
        found += [line] if line else []
    if any(".txt" in kinds and folder.name.lower() == "labels" for folder, kinds in folders.items()):
        found.append("labels of text files are boxes or polygons as YOLO's: draw them into masks first")
    return found[:3]


def _annotation_line(file: Path, files: Sequence[Path]) -> str | None:
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig")) if file.stat().st_size < _LARGEST_JSON else None
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(content, dict):
        return _PANOPTIC.format(told=file.name) if content is None and describes_segments(file) else None
    if "shapes" in content and "imagePath" in content:
        return (
            f"LabelMe polygons ({len(files):,} files such as {file.name}): segbench reads masks; labelme's own "
            "labelme2voc.py draws them (SegmentationClassPNG)"
        )
    if isinstance(content.get("annotations"), list) and isinstance(content.get("images"), list):
        categories = content.get("categories") or []
        names = [str(entry.get("name")) for entry in categories if isinstance(entry, dict)]
        shown = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
        told = f"{file.name}: {len(content['images']):,} images, {len(names)} categories: {shown}"
        if any("segments_info" in entry for entry in content["annotations"][:1] if isinstance(entry, dict)):
            return _PANOPTIC.format(told=told)
        return (
            f"COCO annotations ({told}): segbench reads masks; draw them with pycocotools' COCO.annToMask, one PNG for "
            "each image"
        )
    return None
