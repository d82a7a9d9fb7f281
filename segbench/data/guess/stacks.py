"""Tells whether files of several pages are stacks of samples, whose masks have as many pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from segbench.data.decoding.decoding import page_count
from segbench.data.files.pair import Pair
from segbench.errors import DataError

_LOOKED_AT = 500
"""So many pairs are opened; of more, some that are spread over all."""


def guess_pages(pairs: Sequence[Pair]) -> tuple[Literal["each"] | None, tuple[str, ...]]:
    """Return what ``dataset.pages`` should be, and what a person has to know of it.

    Args:
        pairs: The files.
    """
    counts = [(pair, count) for pair in pairs[:: max(1, -(-len(pairs) // _LOOKED_AT))] if (count := _pages(pair))]
    if all(masks == 1 for _, (_, masks) in counts):
        return None, ()  # several pages of an image alone are its bands, if anything
    for pair, (images, masks) in counts:
        if images != masks:
            told = (
                f"{pair.label}: holds {masks} pages, but its image {pair.image.name} {images}: each page of a mask "
                "needs one of the image; then give dataset.pages: each"
            )
            return None, (told,)
    return "each", ("files hold several pages, as many of the masks as of the images: every page is a sample (pages)",)


def _pages(pair: Pair) -> tuple[int, int] | None:
    try:
        return page_count(pair.image), page_count(pair.label)
    except DataError:
        return None
