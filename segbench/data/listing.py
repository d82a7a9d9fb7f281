"""Lists of image and label files, and the files that they stand for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from segbench.data.files import ImageFolder, Pair
from segbench.errors import DataError


class Listed(NamedTuple):
    """One line of a list: image and label, relative to the data set's folder; suffixes do not matter."""

    image: PurePosixPath
    label: PurePosixPath


def read_list(file: Path) -> list[Listed]:
    """Read lines that hold an image and a label, separated by a tab, or by blanks where a line has no tab.

    Raises:
        DataError: The file cannot be read, or a line holds something else; names file and line.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read as a list of images and labels: {error}") from None
    entries = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        words = _words(line.replace("\\", "/"))
        if len(words) != 2:
            raise DataError(
                f"{file}:{number}: expected an image and a label separated by a blank (by a tab where their names "
                f"hold blanks), found {line!r}"
            )
        entries.append(Listed(PurePosixPath(words[0]), PurePosixPath(words[1])))
    return entries


def _words(line: str) -> list[str]:
    return [word.strip() for word in line.split("\t") if word.strip()] if "\t" in line.strip() else line.split()


def resolve(
    folder: Path, entries: Sequence[Listed], *, name: Callable[[PurePosixPath], str]
) -> tuple[list[Pair], list[str]]:
    """Find listed files by folder and stem.

    Args:
        folder: What the entries are relative to.
        entries: The list.
        name: From an image's listed path to the sample's name.

    Returns:
        The complete pairs in the list's order, and one line for each file that does not exist.
    """
    parents = {path.parent for entry in entries for path in entry}
    folders = {parent: ImageFolder(folder / parent) for parent in parents}
    pairs: list[Pair] = []
    problems: list[str] = []
    for entry in entries:
        image, label = (folders[path.parent].find(path.stem) for path in entry)
        if image and label:
            pairs.append(Pair(name(entry.image), image, label))
            continue
        lost = [path for path, found in zip(entry, (image, label), strict=True) if found is None]
        problems += [f"{folder / path}: is listed but does not exist" for path in lost]
    return pairs, problems
