"""Says what a folder holds in which no images with masks were found, what is missing, and what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from segbench.data.files.image_folder import IMAGE_SUFFIXES, ImageFolder, below, folders_below, is_folder, visible
from segbench.data.guess.annotated import annotation_lines

_MOST_LINES = 10
_MOST_FOLDERS = 5
_MOST_DOUBLES = 2
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
"""Kinds of files that hold images or masks elsewhere, and what to do about them."""


def what_was_seen(root: Path) -> list[str]:
    """Return at most ten lines on the files of a folder; none where it is empty or absent."""
    folders = {folder: _kinds(folder) for folder in folders_below(root)} if root.is_dir() else {}
    filled = {folder: kinds for folder, kinds in folders.items() if kinds}
    lines = [_folder_line(root, folder, kinds) for folder, kinds in list(filled.items())[:_MOST_FOLDERS]]
    if len(filled) > _MOST_FOLDERS:
        lines.append(f"and {len(filled) - _MOST_FOLDERS:,} more folders")
    kinds = {kind for found in filled.values() for kind in found}
    advice = [
        *annotation_lines(root),
        *_boxes(filled),
        *dict.fromkeys(_KINDS[kind] for kind in sorted(kinds & _KINDS.keys())),
    ]
    advice += _doubles(root, filled)
    if lines and not advice:
        advice.append(_missing(kinds))
    return [*lines, *advice][:_MOST_LINES]


def _doubles(root: Path, folders: Iterable[Path]) -> list[str]:
    """Return the first names that several images of one folder have: such images are paired with nothing."""
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


def _boxes(folders: dict[Path, Counter[str]]) -> list[str]:
    if any(".txt" in kinds and folder.name.lower() == "labels" for folder, kinds in folders.items()):
        return ["labels of text files are boxes or polygons as YOLO's: draw them into masks first"]
    return []
