"""Selects pages of multi-page files as samples, and finds the pixel type of a split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from segbench.data.decoding.decoding import page_count
from segbench.data.decoding.images import ImageReader
from segbench.data.files.pair import Pair
from segbench.errors import DataError

_TRIED = 3
"""Number of images tried to find the pixel type; unreadable files are reported when they are read."""


def chosen_pages(pairs: Sequence[Pair], pages: Literal["each", "first"] | None) -> tuple[list[Pair], list[str]]:
    """Choose the pages of each pair of files.

    Args:
        pairs: The files.
        pages: ``each`` makes every page a sample, named ``name#1`` and so on if there are several. ``first`` uses the
            first page. None chooses no page, so reading refuses files with several.

    Returns:
        The samples, and a line for each pair whose numbers of pages differ, or that cannot be opened.
    """
    if pages is None:
        return list(pairs), []
    if pages == "first":
        return [pair._replace(page=0) for pair in pairs], []
    found: list[Pair] = []
    problems: list[str] = []
    for pair in pairs:
        try:
            counts = page_count(pair.image), page_count(pair.label)
        except DataError as error:
            problems.append(str(error))
            continue
        if counts[0] != counts[1]:
            problems.append(
                f"{pair.label}: holds {_counted(counts[1])}, but its image {pair.image} {_counted(counts[0])}"
            )
        elif counts[0] == 1:
            found.append(pair._replace(page=0))
        else:
            found += [Pair(f"{pair.name}#{page + 1}", pair.image, pair.label, page) for page in range(counts[0])]
    return found, problems


def stack_of(name: str) -> str:
    """Return the name of the file that a sample named ``name#1`` is a page of; the name itself of any other sample."""
    stack, sign, page = name.rpartition("#")
    return stack if sign and stack and page.isdecimal() else name


def first_dtype(pairs: Sequence[Pair], reader: ImageReader) -> str:
    """Return the pixel type of the first readable image; uint8 if none is readable."""
    if reader.channels is None:
        return "uint8"
    for pair in pairs[:_TRIED]:
        try:
            return reader(pair.image, page=pair.page).dtype.name
        except DataError:
            continue
    return "uint8"


def _counted(pages: int) -> str:
    return "1 page" if pages == 1 else f"{pages} pages"
