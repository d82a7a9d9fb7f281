"""Finds PNG files whose colours are the numbers of segments, which are no classes: COCO's panoptic format."""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from segbench.data.annotations.json_files import mentions
from segbench.data.files.image_folder import ImageFolder, folders_below, visible
from segbench.data.guess.tree import Place, Role
from segbench.data.masks.stored import read_stored
from segbench.errors import DataError

_KEY = b'"segments_info"'
_FILE = re.compile(rb'"file_name"\s*:\s*"([^"]+\.png)"', re.IGNORECASE)
_OTHERS = 5
"""So many JSON files of a folder that are not called panoptic are looked into."""
_LOOKED_AT = 3
_MOST_SEGMENTS = 1000


def without_panoptic(root: Path, found: Sequence[Place]) -> list[Place]:
    """Return places without those of PNG files that a panoptic JSON file below the root describes."""
    names = {name for file in panoptic_files(root) for name in _described(file)}
    return [place for place in found if not (names and _is_panoptic(place, names))]


def panoptic_files(root: Path) -> Iterator[Path]:
    """Yield the JSON files below a root whose annotations have ``segments_info``."""
    for folder in folders_below(root):
        files = [Path(entry.path) for entry in visible(folder) if entry.name.lower().endswith(".json")]
        named = [file for file in files if "panoptic" in file.name.lower()]
        others = sorted(file for file in files if file not in named)[:_OTHERS]
        yield from (file for file in sorted(named) + others if describes_segments(file))


def describes_segments(file: Path) -> bool:
    """Whether a JSON file has ``segments_info``."""
    return mentions(file, _KEY)


def _described(file: Path) -> set[str]:
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as text:
        return {Path(match.group(1).decode(errors="replace")).name for match in _FILE.finditer(text)}


def _is_panoptic(place: Place, names: set[str]) -> bool:
    """Whether the files of a place are described, and coloured; grey ones of the same names hold classes."""
    if place.role is Role.IMAGES:
        return False
    for _, folder in place.folders.values():
        files = list(ImageFolder(folder, recursive=place.nested).files.values())
        if any(file.name in names for file in files):
            some = [file for file in files if file.name in names][:_LOOKED_AT]
            return all(_is_coloured(file) for file in some)
    return False


def _is_coloured(file: Path) -> bool:
    try:
        colors = read_stored(file).colors
    except DataError:
        return False
    return colors is not None and len(np.unique(colors.reshape(-1, 3), axis=0)) <= _MOST_SEGMENTS
