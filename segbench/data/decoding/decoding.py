"""Opens image files of any common kind, and says which file is at fault when it cannot."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from PIL import Image

from segbench.data.decoding.tiff import directory_of, is_tiff, read_tiff, tiff_facts
from segbench.errors import DataError

_DECODE_ERRORS = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)
"""What Pillow raises for broken files, by format."""

_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns stored pixels into what viewers show, by EXIF orientation."""

_EXIF_KEYS = frozenset({"exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"})
"""Where Pillow keeps what may hold the orientation of a PNG."""

_known_turned: dict[str, bool] = {}
"""Whether images are turned, by the digest of their content."""

_chosen_page: ContextVar[int | None] = ContextVar("chosen_page", default=None)


def decode(path: Path, *, page: int | None = None) -> Image.Image:
    """Open and fully decode an image file, turned as its EXIF orientation says.

    Args:
        path: The file.
        page: Which of several pages, from 0; that of ``reading_page`` by default.

    Raises:
        DataError: The file is missing, truncated or no image, or holds several pages of which none is chosen; names it.
    """
    if page is None:
        page = _chosen_page.get()
    try:
        with Image.open(path) as image:
            if page is None and (count := _pages_of(image, path)) > 1:
                raise several_pages(path, count)
            if page is not None and image.format == "TIFF":
                return _tiff_page(image, path, page)
            if page:
                image.seek(page)
            _load(image)
            return _turned(image)
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file") from None
    except _DECODE_ERRORS as error:
        raise DataError(f"{path}: cannot be read as an image ({error}); is it complete?") from None


def seek_chosen_page(image: Image.Image, path: Path) -> None:
    """Go to the page of ``reading_page`` in a file that was opened but not decoded, where Pillow counts it."""
    page = _chosen_page.get()
    directory = directory_of(path, page) if page and image.format == "TIFF" else page
    if directory:
        image.seek(directory)


@contextmanager
def reading_page(page: int | None) -> Iterator[None]:
    """Let ``decode`` take this page of every file that it opens inside the block; None lets it refuse several."""
    before = _chosen_page.set(page)
    try:
        yield
    finally:
        _chosen_page.reset(before)


def chosen_page() -> int | None:
    """Return the page of ``reading_page``, or None where none is chosen."""
    return _chosen_page.get()


class SeveralPagesError(DataError):
    """A file holds several pages, of which none is chosen."""


def several_pages(path: Path, count: int, *, bands: bool = False) -> SeveralPagesError:
    """Return the error of a file of several pages of which none is chosen.

    Args:
        path: The file.
        count: How many it holds.
        bands: Whether they may be the bands of one image.
    """
    return SeveralPagesError(
        f"{path}: holds {count} pages, and it is not clear which is meant; give dataset.pages: each (every page is a "
        "sample) or pages: first"
        + (f", or dataset.channels: {count} where each page is a band of one image" if bands else "")
    )


def page_count(path: Path) -> int:
    """Return how many pages or frames a file holds; 1 for what is no image.

    Overviews and masks inside a TIFF are no pages, nor are the further views inside a photograph of a telephone.

    Raises:
        DataError: A TIFF cannot be read.
    """
    try:
        with Image.open(path) as image:
            return _pages_of(image, path)
    except _DECODE_ERRORS:
        return tiff_facts(path).pages if is_tiff(path) else 1  # of a type that Pillow does not know


def orientation_of(image: Image.Image) -> int:
    """Return the EXIF orientation of an opened image, from 1 to 8; 1 where it has none that can be read.

    A TIFF's is 1: Pillow has turned it.
    """
    if image.format == "TIFF":
        return 1
    try:
        found = image.getexif().get(_ORIENTATION, 1)
    except _DECODE_ERRORS:
        return 1
    return found if found in _TURNS else 1


def is_turned(path: Path) -> bool:
    """Tell whether an image's EXIF orientation turns it, from the beginning of the file; TIFFs are left out."""
    try:
        with Image.open(path) as image:
            if image.format == "PNG" and not _EXIF_KEYS & image.info.keys():
                return False  # without these, getexif would decode all pixels to look behind them
            return orientation_of(image) != 1
    except _DECODE_ERRORS:
        return False


def turned_images(files: Sequence[Path], digests: Sequence[str]) -> frozenset[str]:
    """Return the digests of those files whose EXIF orientation turns them; each content is looked at once.

    Args:
        files: Image files.
        digests: The digest of each file's content.
    """
    for file, digest in zip(files, digests, strict=True):
        if digest not in _known_turned:
            _known_turned[digest] = is_turned(file)
    return frozenset(digest for digest in digests if _known_turned[digest])


def _pages_of(image: Image.Image, path: Path) -> int:
    if image.format == "TIFF":
        return tiff_facts(path).pages
    return 1 if image.format == "MPO" else int(getattr(image, "n_frames", 1))


def _load(image: Image.Image) -> None:
    """Decode the pixels; Pillow turns those of a TIFF.

    A TIFF is not mapped into memory, as Pillow does with files whose name it knows: it maps an uncompressed image on
    its side (Orientation 5 to 8) with height and width exchanged, which shears it.
    """
    if image.format == "TIFF":
        image.filename = ""  # type: ignore[attr-defined]
    image.load()


def _turned(image: Image.Image) -> Image.Image:
    orientation = orientation_of(image)
    if orientation == 1:
        return image
    turned = image.transpose(_TURNS[orientation])
    turned.format = image.format
    return turned


def _tiff_page(image: Image.Image, path: Path, page: int) -> Image.Image:
    directory = directory_of(path, page)
    if directory is None:
        return Image.fromarray(read_tiff(path, page=page).squeeze(axis=2))
    image.seek(directory)
    _load(image)
    return image
