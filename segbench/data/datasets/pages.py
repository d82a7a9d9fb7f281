"""Files of several pages as samples, and what the first image of a split is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from segbench.data.decoding.decoding import page_count
from segbench.data.decoding.images import ImageReader
from segbench.data.files.pair import Pair
from segbench.errors import DataError

_TRIED = 3
"""Images that are tried for the type of their pixels; those that cannot be read are told of when they are."""


def chosen_pages(pairs: Sequence[Pair], pages: Literal["each", "first"] | None) -> tuple[list[Pair], list[str]]:
    """Choose the pages of each pair of files.

    Args:
        pairs: The files.
        pages: ``each`` makes a sample of every page, named ``name#1`` and so on where there are several; ``first``
            takes the first; None chooses none, so that reading refuses files of several.

    Returns:
        The samples, and one line for each pair whose image and mask differ in pages, or cannot be opened.
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
    """Return the type of the pixels of the first images that can be read; uint8 where none can."""
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
