"""The group of each image, such as its patient, city or video: images of one group stay in one fold."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from segbench.config.sections.fold_groups import FoldGroups
from segbench.data.datasets.pages import stack_of
from segbench.data.files.image_folder import same_name, without_suffix
from segbench.errors import DataError

_SHOWN = 3


def groups_of(names: Sequence[str], given: FoldGroups, *, own_names: Sequence[str] | None = None) -> tuple[str, ...]:
    """Return the group of each image.

    Args:
        names: The images' names.
        given: Where to find the groups.
        own_names: The images' names in their own splits, if they differ. Folders and patterns are matched with these,
            so a city in two splits is one group.

    Raises:
        DataError: Some images have no group, or the file cannot be read; names them.
    """
    if given.file is not None and given.column is not None:
        known = read_groups(Path(given.file), image_column=given.image_column, column=given.column)
        groups = [known.get(same_name(name)) or known.get(same_name(stack_of(name))) for name in names]
        where = f"no line in {given.file}"
    elif given.folder is not None:
        groups = [_folder(name, given.folder) for name in own_names or names]
        where = f"no folder number {given.folder} in their names"
    else:
        groups = [_matched(name, given.pattern or "") for name in own_names or names]
        where = f"no text that fold_groups.pattern {given.pattern!r} matches"
    lost = [name for name, group in zip(names, groups, strict=True) if not group]
    if lost:
        shown = ", ".join(lost[:_SHOWN]) + (", …" if len(lost) > _SHOWN else "")
        raise DataError(
            f"dataset.fold_groups: each image needs a group, and {len(lost):,} of {len(names):,} have {where} ({shown})"
        )
    return tuple(str(group) for group in groups)


def with_whole_stacks(names: Sequence[str], groups: Sequence[str] | None) -> tuple[str, ...] | None:
    """Return the group of each image such that the pages of one file are of one: their stack, if none are given.

    Args:
        names: The images' names; those of pages end in ``#1``, ``#2`` and so on.
        groups: The group of each image, if groups are given.

    Returns:
        The groups; None where none are given and there are no stacks.

    Raises:
        DataError: The given groups tear a stack apart.
    """
    stacks = tuple(map(stack_of, names))
    if groups is None:
        return stacks if len(set(stacks)) < len(stacks) else None
    seen: dict[str, str] = {}
    for stack, group in zip(stacks, groups, strict=True):
        if seen.setdefault(stack, group) != group:
            raise DataError(
                f"dataset.fold_groups: pages of {stack} are in the groups {seen[stack]!r} and {group!r}; neighbouring "
                "pages are nearly the same picture, so that all pages of a file have to be in one group"
            )
    return tuple(groups)


def read_groups(file: Path, *, image_column: str, column: str) -> dict[str, str]:
    """Read the group of each image from a CSV file; images may have a file suffix or not.

    Raises:
        DataError: The file cannot be read, lacks a column, or puts an image into two groups; names the line.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, restval="")
            columns = list(reader.fieldnames or ())
            for wanted in (image_column, column):
                if wanted not in columns:
                    raise DataError(f"{file}: has no column {wanted!r}; it has {', '.join(columns) or 'none'}")
            lines = [(reader.line_num, line[image_column].strip(), line[column].strip()) for line in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file}: cannot be read as the CSV file of dataset.fold_groups: {error}") from None
    found: dict[str, str] = {}
    for number, image, group in lines:
        for name in {same_name(image), same_name(_without_suffix(image))}:
            if group and found.setdefault(name, group) != group:
                raise DataError(f"{file}:{number}: {image!r} is in the group {group!r}, and above in {found[name]!r}")
    return found


def _without_suffix(name: str) -> str:
    return PurePosixPath(without_suffix(name.replace("\\", "/"))).as_posix()


def _folder(name: str, above: int) -> str | None:
    """Return the path to a folder of a name, so that equal folder names in different places are different groups."""
    parents = [parent.as_posix() for parent in PurePosixPath(name).parents if parent.as_posix() != "."]
    return parents[above - 1] if above <= len(parents) else None


def _matched(name: str, pattern: str) -> str | None:
    match = re.search(pattern, name)
    if match is None:
        return None
    return match[1] if match.re.groups else match[0]
