"""Decodes image files of common formats; errors name the file."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from PIL import Image

from segbench.data.decoding.bmp import load_bmp
from segbench.data.decoding.pixel_limit import too_large
from segbench.data.decoding.tiff import directory_of, is_tiff, read_tiff, tiff_facts
from segbench.errors import DataError

_DECODE_ERRORS = (
    *(OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError),
    *(IndexError, KeyError, TypeError, AttributeError, ArithmeticError),
)
"""Errors that Pillow raises for damaged files; the second line was found by altering files at random."""

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
"""Transpositions that apply an EXIF orientation."""

_EXIF_KEYS = frozenset({"exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"})
"""Pillow's key of metadata that may hold a PNG's orientation."""

_known_turned: dict[str, bool] = {}
"""Whether images are rotated, by the digest of their content."""

_chosen_page: ContextVar[int | None] = ContextVar("chosen_page", default=None)


def decode(path: Path, *, page: int | None = None) -> Image.Image:
    """Decode an image file and apply its EXIF orientation.

    Args:
        path: The file.
        page: Index of the page, from 0; default: that of ``reading_page``.

    Raises:
        DataError: The file is missing, truncated or no image, or has several pages and none is chosen.
    """
    if page is None:
        page = _chosen_page.get()
    try:
        with Image.open(path) as image:
            if page is None and (count := _pages_of(image, path)) > 1:
                raise several_pages(path, count)
            if image.format == "TIFF":
                return _tiff_page(image, path, page or 0)
            if page:
                image.seek(page)
            if image.format == "BMP":
                return load_bmp(image, path)
            _load(image)
            return _turned(image)
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file") from None
    except Image.DecompressionBombError:
        raise too_large(path, "more pixels") from None
    except _DECODE_ERRORS as error:
        if _is_empty(path):
            raise DataError(f"{path}: is empty (0 bytes), as files are that were not copied to their end") from None
        raise DataError(f"{path}: cannot be read as an image ({error}); is it complete?") from None


def seek_chosen_page(image: Image.Image, path: Path) -> None:
    """Seek to the page of ``reading_page`` in an opened file that is not decoded yet."""
    page = _chosen_page.get()
    directory = directory_of(path, page or 0) if image.format == "TIFF" else page
    if directory:
        image.seek(directory)


@contextmanager
def reading_page(page: int | None) -> Iterator[None]:
    """Set the page that ``decode`` reads within the block; None refuses files with several pages."""
    before = _chosen_page.set(page)
    try:
        yield
    finally:
        _chosen_page.reset(before)


def chosen_page() -> int | None:
    """Return the page of ``reading_page``; None if none is chosen."""
    return _chosen_page.get()


class SeveralPagesError(DataError):
    """A file has several pages and none is chosen."""


def several_pages(path: Path, count: int, *, bands: bool = False) -> SeveralPagesError:
    """Return the error about a file with several pages of which none is chosen.

    Args:
        path: The file.
        count: Number of pages.
        bands: Whether they may be the bands of one image.
    """
    return SeveralPagesError(
        f"{path}: holds {count} pages, and it is not clear which is meant; give dataset.pages: each (every page is a "
        "sample) or pages: first"
        + (f", or dataset.channels: {count} where each page is a band of one image" if bands else "")
    )


def page_count(path: Path) -> int:
    """Return the number of pages or frames of a file; 1 if it is no image.

    Overviews and masks inside a TIFF do not count as pages, nor do additional views in phone photographs.

    Raises:
        DataError: A TIFF cannot be read.
    """
    try:
        with Image.open(path) as image:
            return _pages_of(image, path)
    except _DECODE_ERRORS:
        return tiff_facts(path).pages if is_tiff(path) else 1  # a type that Pillow does not support


def orientation_of(image: Image.Image) -> int:
    """Return the EXIF orientation of an opened image, 1 to 8; 1 if it is missing or unreadable.

    For a TIFF it is 1, because Pillow has already applied it.
    """
    if image.format == "TIFF":
        return 1
    try:
        found = image.getexif().get(_ORIENTATION, 1)
    except _DECODE_ERRORS:
        return 1
    return found if found in _TURNS else 1


def is_turned(path: Path) -> bool:
    """Return whether an EXIF orientation rotates an image; reads only the header. False for TIFFs."""
    try:
        with Image.open(path) as image:
            if image.format == "PNG" and not _EXIF_KEYS & image.info.keys():
                return False  # else getexif would decode all pixels to look for metadata after them
            return orientation_of(image) != 1
    except _DECODE_ERRORS:
        return False


def turned_images(files: Sequence[Path], digests: Sequence[str]) -> frozenset[str]:
    """Return the digests of the files that an EXIF orientation rotates; each content is read once.

    Args:
        files: Image files.
        digests: The digest of each file's content.
    """
    for file, digest in zip(files, digests, strict=True):
        if digest not in _known_turned:
            _known_turned[digest] = is_turned(file)
    return frozenset(digest for digest in digests if _known_turned[digest])


def _is_empty(path: Path) -> bool:
    try:
        return path.stat().st_size == 0
    except OSError:  # a link to itself, or a path through a file
        return False


def _pages_of(image: Image.Image, path: Path) -> int:
    if image.format == "TIFF":
        return tiff_facts(path).pages
    return 1 if image.format == "MPO" else int(getattr(image, "n_frames", 1))


def _load(image: Image.Image) -> None:
    """Decode the pixels; for TIFFs, Pillow applies the orientation.

    TIFFs are not opened by name, because Pillow then maps uncompressed files into memory. For Orientation 5 to 8 it
    maps them with height and width exchanged, which shears the image.
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
    """Decode a page; the first directory of a file may be a smaller copy of it, which is none."""
    directory = directory_of(path, page)
    if directory is None:
        return Image.fromarray(read_tiff(path, page=page).squeeze(axis=2))
    image.seek(directory)
    _load(image)
    return image
