"""Finds the image files that annotations name, and tells their shown size."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath

from PIL import Image

from segbench.data.annotations.regions import Size
from segbench.data.decoding.decoding import orientation_of
from segbench.data.decoding.images import read_bands
from segbench.data.files.image_folder import IMAGE_SUFFIXES, image_files, same_name
from segbench.errors import DataError

_ON_ITS_SIDE = (5, 6, 7, 8)
"""EXIF orientations that exchange height and width."""


class ImageFinder:
    """Finds files by the names that annotations give them.

    Args:
        folders: Where to look, each with the folders below it.
        near: Where to look by the given path alone, before.
        split: What the split is called; of several files of one name, the one in a folder of this name is meant, and
            none of a folder that is called panoptic otherwise.
    """

    def __init__(self, folders: Sequence[Path], *, near: Sequence[Path] = (), split: str = "") -> None:
        self.folders, self.near, self.split = tuple(folders), tuple(near), split

    def find(self, name: str) -> Path | None:
        """Return the file of a name such as ``train/0001.jpg``; None where there is none.

        Raises:
            DataError: Several files have this name, and nothing tells which is meant.
        """
        relative = relative_name(name)
        for folder in (*self.near, *self.folders):
            if (folder / relative).is_file():
                return folder / relative
        found = self._by_name.get(same_name(relative.name), [])
        ending = [path for path in found if path.parts[-len(relative.parts) :] == relative.parts]
        if not ending and not self._holds_folder_of(relative):  # else another folder's file is another one
            ending = found
        images = [path for path in ending if "panoptic" not in path.parent.name.lower()] or ending
        meant = [path for path in ending if self.split and self.split in path.parent.parts] or images
        if len(meant) > 1:
            raise DataError(
                f"which file is the image {name}: {meant[0]} or {meant[1]}? Give --images, the folder that it is in, "
                "and convert one split at a time"
            )
        return meant[0] if meant else None

    def _holds_folder_of(self, relative: PurePosixPath) -> bool:
        """Return whether the folder that a name gives is there, such as that of a split."""
        return len(relative.parts) > 1 and any(
            (folder / relative.parent).is_dir() for folder in (*self.near, *self.folders)
        )

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = defaultdict(list)
        for path in dict.fromkeys(path for folder in self.folders for path in image_files(folder, recursive=True)):
            found[same_name(path.name)].append(path)
        return found


def relative_name(name: str) -> PurePosixPath:
    """Return the name of an image as a path that leads nowhere else; of another machine's path, the file's name."""
    path = PurePosixPath(name.replace("\\", "/"))
    leads_away = path.is_absolute() or ".." in path.parts or any(":" in part for part in path.parts)
    return PurePosixPath(path.name) if leads_away else path


def is_image_name(name: str) -> bool:
    """Whether a file of this name is an image by its suffix."""
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES


def shown_size(file: Path) -> tuple[Size, bool]:
    """Return the height and width of an image as viewers show it, and whether EXIF turns it.

    Raises:
        DataError: It cannot be read.
    """
    try:
        with Image.open(file) as image:
            orientation = orientation_of(image)
            width, height = image.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        height, width = read_bands(file).shape[:2]
        return (height, width), False
    return ((width, height) if orientation in _ON_ITS_SIDE else (height, width)), orientation != 1


def check_size(file: Path, *, given: Size, source: Path) -> bool:
    """Return whether EXIF turns an image.

    Raises:
        DataError: Its annotation is of another size.
    """
    shown, is_turned = shown_size(file)
    if shown == given:
        return is_turned
    turned = " as its EXIF orientation shows it" if is_turned else ""
    raise DataError(
        f"{source}: says that {file} is {given[0]}x{given[1]} pixels (height x width), but it is {shown[0]}x{shown[1]}"
        f"{turned}: the annotations are of another version of the image; find the one that was annotated"
    )
