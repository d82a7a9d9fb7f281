"""Lists the image files of a folder, without hidden files and system files."""

from __future__ import annotations

import os
import unicodedata
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from segbench.errors import DataError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".gif")
"""Suffixes of image files, in lower case."""

_LEFT_BY_SYSTEMS = frozenset(
    ("__macosx", "thumbs.db", "desktop.ini", "@eadir", "#recycle", "$recycle.bin", "system volume information")
)
"""Files and folders of Windows, of macOS's archives and of network storage, in lower case."""


def is_hidden(name: str) -> bool:
    """Return whether a name is never part of the data, such as ``._x.jpg``, ``.DS_Store`` or ``__MACOSX``."""
    return name.startswith(".") or name.lower() in _LEFT_BY_SYSTEMS


def same_name(text: str) -> str:
    """Return a name in Unicode's composed form (NFC), so that equal-looking names compare equal."""
    return unicodedata.normalize("NFC", text)


def without_suffix(name: str) -> str:
    """Remove the suffix of an image from a name or path; other endings, as in ``scene.0001``, are kept."""
    path = PurePosixPath(name)
    return name[: -len(path.suffix)] if path.suffix.lower() in IMAGE_SUFFIXES else name


def visible(folder: Path) -> list[os.DirEntry[str]]:
    """Return the visible entries of a folder by name; none if there is no such folder.

    Raises:
        DataError: The folder cannot be listed.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted((entry for entry in entries if not is_hidden(entry.name)), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed: {error.strerror}") from None


def image_files(folder: Path, *, recursive: bool = False) -> list[Path]:
    """Return the image files of a folder, sorted, without hidden ones.

    Broken links are included, so that reading them fails with their name.

    Args:
        folder: The folder; one that does not exist holds nothing.
        recursive: Whether to list all folders below it as well. Links to folders are followed, each folder once.

    Raises:
        DataError: A folder cannot be listed.
    """
    found = [
        Path(entry.path)
        for place in (folders_below(folder) if recursive else [folder])
        for entry in visible(place)
        if Path(entry.name).suffix.lower() in IMAGE_SUFFIXES and not is_folder(entry)
    ]
    return sorted(found)


def folders_below(folder: Path) -> Iterator[Path]:
    """Yield a folder and all visible folders below it, each once; links are followed after real folders.

    Links to a parent of the first folder are not followed, since they lead outside it.
    """
    top = os.path.realpath(folder)
    seen: set[str] = set()
    real, linked = deque([folder]), deque[Path]()
    while real or linked:
        place = real.popleft() if real else linked.popleft()
        target = os.path.realpath(place)
        if target in seen or (target != top and Path(top).is_relative_to(target)):
            continue
        seen.add(target)
        yield place
        for entry in visible(place):
            if is_folder(entry):
                (linked if entry.is_symlink() else real).append(Path(entry.path))


class ImageFolder:
    """The image files of a folder by name without suffix, in NFC.

    Args:
        folder: The folder; one that does not exist holds nothing.
        recursive: Whether to include subfolders; names are then paths, such as ``berlin/0001``.

    Attributes:
        files: The file of each unambiguous name.
        candidates: All files of each name.
        problems: A line for each ambiguous name, which several files have.
    """

    def __init__(self, folder: Path, *, recursive: bool = False) -> None:
        self.folder = folder
        found = image_files(folder, recursive=recursive)
        self.candidates = by_name((path.relative_to(folder).as_posix(), path) for path in found)
        self.files = {name: paths[0] for name, paths in self.candidates.items() if len(paths) == 1}
        self.problems = unclear(self.candidates)

    def find(self, stem: str) -> Path | None:
        """Return the file of this name; None if there is none, or if it is ambiguous."""
        return self.files.get(same_name(stem))

    def only_below(self) -> str | None:
        """Return a line if only subfolders of the folder hold images."""
        below = [] if self.candidates else image_files(self.folder, recursive=True)
        if not below:
            return None
        first = below[0].relative_to(self.folder).as_posix()
        return f"{self.folder}: its {len(below):,} images lie in subfolders ({first}); set dataset.recursive: true"


def by_name(files: Iterable[tuple[str, Path]]) -> dict[str, tuple[Path, ...]]:
    """Return files by their names without suffix, in NFC."""
    found: dict[str, tuple[Path, ...]] = {}
    for name, path in files:
        stem = same_name(without_suffix(name))
        found[stem] = (*found.get(stem, ()), path)
    return found


def unclear(candidates: Mapping[str, tuple[Path, ...]]) -> list[str]:
    """Return a line for each ambiguous name."""
    return [which(paths) for paths in candidates.values() if len(paths) > 1]


def which(paths: Sequence[Path]) -> str:
    """Return the line about an ambiguous name."""
    beside = len({path.parent for path in paths}) == 1
    named = ", ".join(path.name if beside else str(path) for path in paths)
    if beside and len({same_name(path.name) for path in paths}) == 1:
        return f"{paths[0]}: two files have this name, with its accents stored in two ways (NFC, NFD); keep one"
    remedy = "name the right one with its suffix in a list (dataset.split_file)" if beside else "write the whole path"
    return f"{paths[0]}: which of {named} is meant? They have the same name; keep one, or {remedy}"


def below(root: Path, text: str) -> str:
    """Make the paths in a text relative to a folder."""
    return text if root == Path() else text.replace(f"{root}/", "")


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a folder, or a link to one."""
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False
