"""Pairs images and masks by name, from two folders or one."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from segbench.data.files.image_folder import ImageFolder, unclear
from segbench.data.files.pair import Pair
from segbench.errors import DataError

Candidates = dict[str, tuple[Path, ...]]
"""Files by name; a name with several files is ambiguous."""


class Suffixes(NamedTuple):
    """Suffixes after the common name of an image and its mask.

    Attributes:
        image: Suffix of image names before the extension, such as ``_rgb``; usually empty.
        mask: Suffix of mask names, such as ``_mask``.
    """

    image: str = ""
    mask: str = ""


def check_told_apart(images: Path, masks: Path, suffixes: Suffixes) -> None:
    """Refuse a common folder for images and masks if no suffix distinguishes them.

    Raises:
        DataError: They cannot be distinguished; names the folder and the keys.
    """
    if suffixes.image == suffixes.mask and os.path.realpath(images) == os.path.realpath(masks):
        raise DataError(
            f"{images}: images and masks are in one folder, and nothing tells which is which; give dataset.mask_suffix "
            "where masks have an ending of their own (photo_mask.png: '_mask'), or name each image and its mask in a "
            "list (dataset.split_file)"
        )


def pair_by_name(images: ImageFolder, masks: ImageFolder, *, suffixes: Suffixes) -> tuple[list[Pair], list[str]]:
    """Pair files whose names are equal without their suffixes.

    In a common folder, files with the mask suffix are masks and never images.

    Returns:
        The pairs in the order of their names, and a line for each unpaired file and each ambiguous name.
    """
    left, right = _roles(images, masks, suffixes)
    shared = sorted(left.keys() & right.keys())
    pairs = [Pair(name, left[name][0], right[name][0]) for name in shared if len(left[name]) == len(right[name]) == 1]
    problems = [line for line in (images.only_below(), masks.only_below()) if line]
    problems += [f"{left[name][0]}: has no mask in {masks.folder}" for name in sorted(left.keys() - right.keys())]
    problems += [f"{right[name][0]}: has no image in {images.folder}" for name in sorted(right.keys() - left.keys())]
    return apart(pairs, [*problems, *unclear(left), *unclear(right)])


def apart(pairs: Sequence[Pair], problems: Sequence[str]) -> tuple[list[Pair], list[str]]:
    """Remove pairs of a file with itself, and pairs that cannot be read: of pipes and devices, or of unprintable names.

    Returns:
        The other pairs, and the problems with a further line for each file that is an image and a mask, or is no file.
    """
    files = [(_file_id(pair.image), _file_id(pair.label)) for pair in pairs]
    labels = {label for _, label in files}
    found = list(dict.fromkeys(problems))
    kept = []
    for pair, (image, label) in zip(pairs, files, strict=True):
        if unreadable := [line for file in (pair.image, pair.label) if (line := why_unreadable(file))]:
            found += unreadable
            continue
        if image == label:
            found.append(f"{pair.image}: is given as an image and as its own mask ({pair.label})")
            continue
        if image in labels:
            found.append(f"{pair.image}: is given as an image, and as the mask of another image")
        kept.append(pair)
    return kept, found


def why_unreadable(path: Path) -> str | None:
    """Return why a file must not be opened or cannot be named; None for ordinary files and missing ones."""
    if not _is_utf8(str(path)):
        shown = str(path).encode("utf-8", "backslashreplace").decode()
        return f"{shown}: its name is not valid UTF-8, so that no list can hold it; rename it"
    try:
        mode = path.stat().st_mode
    except OSError:
        return None
    if stat.S_ISREG(mode):
        return None
    what = "a folder" if stat.S_ISDIR(mode) else "a pipe, socket or device"
    return f"{path}: is {what} and no file: reading it might never end; remove it"


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _file_id(path: Path) -> object:
    """Return an id that all links to a file share; needs one system call, while resolving a path needs many."""
    try:
        found = path.stat()
    except OSError:  # a broken link
        return path
    return found.st_dev, found.st_ino


def _roles(images: ImageFolder, masks: ImageFolder, suffixes: Suffixes) -> tuple[Candidates, Candidates]:
    """Return the files of images and masks by their common names."""
    image_stems, mask_stems = _elsewhere(images, masks.folder), _elsewhere(masks, images.folder)
    if os.path.realpath(images.folder) == os.path.realpath(masks.folder):
        image_stems, mask_stems = _told_apart(images.candidates, suffixes)
    return (
        _shared_names(images.candidates, image_stems, suffix=suffixes.image),
        _shared_names(masks.candidates, mask_stems, suffix=suffixes.mask),
    )


def _elsewhere(found: ImageFolder, other: Path) -> list[str]:
    """Return the names of files outside another folder, which may be inside theirs."""
    if other == found.folder or not other.is_relative_to(found.folder):
        return list(found.candidates)
    inside = other.relative_to(found.folder).as_posix() + "/"
    return [stem for stem in found.candidates if not stem.startswith(inside)]


def _told_apart(stems: Mapping[str, object], suffixes: Suffixes) -> tuple[list[str], list[str]]:
    """Split one folder into images and masks: the longest matching suffix decides."""
    shorter, longer = sorted(suffixes, key=len)
    ending = {stem for stem in stems if stem.endswith(longer) and _shared(stem, shorter, longer, stems)}
    others = [stem for stem in stems if stem not in ending]
    roles = {longer: sorted(ending), shorter: others}
    return roles[suffixes.image], roles[suffixes.mask]


def _shared(stem: str, shorter: str, longer: str, stems: Mapping[str, object]) -> bool:
    """Return whether a name with the longer suffix has its role; the image ``gas_mask`` with its own mask does not."""
    has_partner = stem.removesuffix(longer) + shorter in stems
    has_longer = stem.endswith(shorter) and stem.removesuffix(shorter) + longer in stems
    return has_partner or not has_longer


def _shared_names(candidates: Candidates, stems: Iterable[str], *, suffix: str) -> Candidates:
    """Return files by their name without suffix; if nothing is left, by their folder."""
    found: Candidates = {}
    for stem in stems:
        name = stem.removesuffix(suffix).rstrip("/")
        if stem.endswith(suffix) and name:
            found[name] = (*found.get(name, ()), *candidates[stem])
    return found
