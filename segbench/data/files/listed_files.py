"""Resolves the entries of a list to files."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from segbench.data.files.image_folder import (
    IMAGE_SUFFIXES,
    by_name,
    is_folder,
    is_hidden,
    same_name,
    visible,
    which,
    without_suffix,
)
from segbench.data.files.lists import Listed
from segbench.data.files.pair import Pair
from segbench.data.files.pairing import apart


class _Names(NamedTuple):
    """The entries of a folder by name in NFC."""

    files: dict[str, tuple[Path, ...]]
    images: dict[str, tuple[Path, ...]]
    folders: dict[str, Path]


class FileFinder:
    """Finds files below a folder by the paths in a list.

    An exact match is preferred. Without one, an image with the same name and another suffix is used, for lists without
    suffixes and for re-encoded images.

    Args:
        root: The folder that paths are relative to.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._known: dict[PurePosixPath, _Names | None] = {}

    def find(self, path: PurePosixPath) -> tuple[Path, ...]:
        """Return the files that a path may refer to: one, several if it is ambiguous, or none.

        A path that begins with a slash is absolute, or relative to the root as in CamVid's lists.
        """
        if not path.is_absolute():
            return self._find(path)
        inside = self._find(PurePosixPath(*path.parts[1:]))
        here = self._find(path)
        return tuple({os.path.realpath(file): file for file in (*inside, *here)}.values())

    def with_stem(self, path: PurePosixPath) -> tuple[Path, ...]:
        """Return the images with a path's name, whatever their suffix."""
        names = self._names(path.parent)
        return names.images.get(same_name(path.name), ()) if names else ()

    def folder(self, path: PurePosixPath) -> Path | None:
        """Return a folder by its name, in either form of Unicode."""
        place = self.root / path
        if os.path.isdir(place):  # noqa: PTH112 - a path that is too long is no folder, and no error
            return place
        above = self._names(path.parent) if path.name else None
        return above.folders.get(same_name(path.name)) if above else None

    def fault(self, path: PurePosixPath, found: Sequence[Path]) -> list[str]:
        """Return a line about a path that is missing or ambiguous; none if one file was found."""
        if len(found) == 1:
            return []
        return [which(found) if found else self._missing(path)]

    def _find(self, path: PurePosixPath) -> tuple[Path, ...]:
        names = self._names(path.parent)
        if names is None or not path.name:
            return ()
        name = same_name(path.name)
        if name in names.files:
            return names.files[name]
        found = names.images.get(without_suffix(name), ())
        other_case = tuple(file for file in found if same_name(file.name).lower() == name.lower())
        return other_case or found

    def _names(self, folder: PurePosixPath) -> _Names | None:
        if folder not in self._known:
            place = self.folder(folder)
            self._known[folder] = None if place is None else _names(place)
        return self._known[folder]

    def _missing(self, path: PurePosixPath) -> str:
        """Return the line about a path without a file."""
        where = f"{self.root / path}: is listed but "
        if is_hidden(path.name):
            return where + "is a hidden file, which is never used (a Mac writes ._x.jpg beside x.jpg); delete the line"
        names = self._names(path.parent)
        near = [name for name in (names.files if names else ()) if name.lower() == same_name(path.name).lower()]
        return (
            where + "does not exist" + (f"; {near[0]} does, which differs in small and capital letters" if near else "")
        )


def resolve(
    folder: Path, entries: Sequence[Listed], *, name: Callable[[PurePosixPath], str]
) -> tuple[list[Pair], list[str]]:
    """Find the files of a list of images and labels.

    Args:
        folder: The folder that entries are relative to.
        entries: The list.
        name: Maps an image's path (relative to the folder if below it) to the sample's name.

    Returns:
        The complete pairs in the list's order, and a line for each missing or ambiguous file.
    """
    finder = FileFinder(folder)
    pairs: list[Pair] = []
    problems: list[str] = []
    for index, entry in enumerate(entries):
        found = [finder.find(path) for path in entry.paths]
        if index == 0 and entry.may_be_header and not any(found):
            continue
        faults = [fault for path, files in zip(entry.paths, found, strict=True) for fault in finder.fault(path, files)]
        if not faults:
            image, label = (files[0] for files in found)
            pairs.append(Pair(same_name(name(_relative(image, folder))), image, label))
        problems += faults
    return apart(pairs, problems)


def _relative(file: Path, folder: Path) -> PurePosixPath:
    """Return a file's path relative to a folder, or unchanged if it is outside."""
    try:
        return PurePosixPath(file.relative_to(folder).as_posix())
    except ValueError:
        real, above = Path(os.path.realpath(file)), Path(os.path.realpath(folder))
    return PurePosixPath((real.relative_to(above) if real.is_relative_to(above) else file).as_posix())


def _names(folder: Path) -> _Names:
    files: dict[str, tuple[Path, ...]] = {}
    folders: dict[str, Path] = {}
    for entry in visible(folder):
        name = same_name(entry.name)
        if is_folder(entry):
            folders.setdefault(name, Path(entry.path))
        else:
            files[name] = (*files.get(name, ()), Path(entry.path))
    paths = [path for twins in files.values() for path in twins if path.suffix.lower() in IMAGE_SUFFIXES]
    return _Names(files, by_name((path.name, path) for path in paths), folders)
