"""Reads TIFF files at full depth: pages, bands and pixels."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segbench.data.decoding.pixel_limit import check_pixels
from segbench.errors import DataError, one_line

if TYPE_CHECKING:
    from tifffile import TiffFile

CODECS = "imagecodecs"
"""The package to install for compressions that tifffile delegates to imagecodecs."""

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_FAULTS = (
    *(OSError, ValueError, TypeError, LookupError, RuntimeError, ImportError, struct.error, zlib.error),
    *(ArithmeticError, AttributeError, AssertionError),
)
"""Errors of tifffile and imagecodecs for damaged files and unknown compressions."""
_ALPHA = (1, 2)
"""Values of the tag ExtraSamples that mark a band as alpha."""
_ORIENTATION = 274
_UNCOMPRESSED = 1
_UNPACKING, _COMPRESSION = 8, 10_000
"""How often larger than stored the pixels may be: bits as bytes; the best compression of a constant image."""
_PLAUSIBLE_BYTES = 1 << 30
"""Smaller images are tried, whatever their header says."""


class MissingCodecError(DataError):
    """The installed packages cannot read a compression."""


class TiffFacts(NamedTuple):
    """Header facts of a TIFF's first page; all pages of a stack are assumed to be like it.

    Attributes:
        pages: Number of full-size pages, without overviews and masks inside the file.
        bands: Number of bands of a page.
        dtype: NumPy's name of the pixel type.
        alpha: Whether the last band is marked as alpha.
        photometric: The tag's name, such as ``RGB``, ``PALETTE`` or ``SEPARATED`` (CMYK).
        compression: The tag's name.
        software: The writing software by its tag; empty without one.
        compression_number: The value of the tag Compression.
        bits: Bits of a band.
    """

    pages: int
    bands: int
    dtype: str
    alpha: bool
    photometric: str
    compression: str
    software: str = ""
    compression_number: int = 1
    bits: int = 8


class _Layout(NamedTuple):
    """Locations of the pages in a file.

    Attributes:
        directories: Offsets of their directories.
        in_one_directory: Number of pages in one directory, as in large ImageJ stacks; 0 if each page has its own.
    """

    directories: tuple[int, ...]
    in_one_directory: int = 0


_layouts: dict[tuple[str, int, int], _Layout] = {}
"""Layouts by path, modification time and size."""


def is_tiff(path: Path) -> bool:
    """Return whether a file begins like a TIFF or BigTIFF; False if it cannot be read."""
    try:
        with path.open("rb") as stream:
            return stream.read(4) in _MAGIC
    except OSError:
        return False


def tiff_facts(path: Path) -> TiffFacts:
    """Read the header of a TIFF.

    Raises:
        DataError: The file cannot be read, or holds a volume; names it.
    """
    with _opened(path) as tiff:
        layout = _layout_of(path, tiff)
        page: Any = tiff.pages[layout.directories[0]]
        if page.imagedepth > 1:
            raise DataError(f"{path}: holds a volume of {page.imagedepth} slices in one page; save its slices as pages")
        extra = tuple(int(kind) for kind in page.extrasamples)
        return TiffFacts(
            pages=layout.in_one_directory or len(layout.directories),
            bands=int(page.samplesperpixel),
            dtype="none" if page.dtype is None else page.dtype.name,
            alpha=bool(extra) and extra[-1] in _ALPHA,
            photometric=_name(page.photometric),
            compression=_name(page.compression),
            software=str(getattr(page, "software", "")),
            compression_number=int(page.compression),
            bits=int(page.bitspersample),
        )


def directory_of(path: Path, page: int) -> int | None:
    """Return the offset of a page's directory in a TIFF; None if all pages share one directory.

    Raises:
        DataError: The file cannot be read.
    """
    with _opened(path) as tiff:
        layout = _layout_of(path, tiff)
    return None if layout.in_one_directory else layout.directories[page]


def read_tiff(path: Path, *, page: int | None = None) -> NDArray[Any]:
    """Read one page, or all pages as the bands of one image.

    Args:
        path: The file.
        page: Index of the page, from 0; None reads all. A single page has its own bands; several pages are one band
            each. A stack of shape (H, W, C) written as H pages is distinguished from (C, H, W) by its shortest side.

    Returns:
        (H, W, C) in the file's own type, with the tag Orientation applied.

    Raises:
        DataError: The file cannot be read, or its pages are no bands; names the file.
    """
    with _opened(path) as tiff:
        layout = _layout_of(path, tiff)
        first: Any = tiff.pages[layout.directories[0]]
        tag = first.tags.get(_ORIENTATION)
        if layout.in_one_directory:
            check_pixels(path, int(first.imagewidth), int(first.imagelength) * layout.in_one_directory)
            stack = tiff.asarray(series=0).reshape(layout.in_one_directory, *first.shape)
            found = list(stack) if page is None else [stack[page]]
        else:
            chosen = layout.directories if page is None else (layout.directories[page],)
            found = [_complete(path, tiff.pages[place]) for place in chosen]
    pages = [_bands_last(array, first.axes, path) for array in found]
    image = pages[0] if len(pages) == 1 else _stacked(pages, path)
    return oriented(image, int(tag.value) if tag is not None else 1)


def oriented(image: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Apply an orientation to a stored (H, W, C) image.

    Args:
        image: The stored pixels.
        orientation: The tag's value, 1 to 8 (EXIF 2.32, section 4.6.4); other values change nothing.
    """
    if orientation in (5, 6, 7, 8):
        image = image.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return np.ascontiguousarray(image)


@contextmanager
def _opened(path: Path) -> Iterator[TiffFile]:
    from tifffile import TiffFile

    try:
        with TiffFile(path, is_ome=False) as tiff:  # OME metadata may name other files
            yield tiff
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file") from None
    except _FAULTS as error:
        text = one_line(error, most=200)
        if "imagecodecs" in text or isinstance(error, ImportError):
            raise MissingCodecError(
                f"{path}: its compression cannot be read here ({text}); install it with "
                f"pip install '{CODECS}', or save the file uncompressed or with deflate"
            ) from None
        raise DataError(f"{path}: cannot be read as a TIFF ({text}); is it complete?") from None


def _layout_of(path: Path, tiff: TiffFile) -> _Layout:
    """Return the locations of the pages; cached, because finding them reads all directories of a stack."""
    state = path.stat()
    key = (str(path), state.st_mtime_ns, state.st_size)
    if key not in _layouts:
        _layouts[key] = _find_layout(tiff)
    return _layouts[key]


def _find_layout(tiff: TiffFile) -> _Layout:
    pages: list[Any] = list(tiff.pages)
    if not pages:
        raise ValueError("it holds no page")
    if len(pages) == 1 and (tiff.is_imagej or tiff.is_shaped):
        series: Any = tiff.series[0]
        if getattr(series, "is_truncated", False):
            return _Layout((0,), int(np.prod(series.shape)) // int(np.prod(pages[0].shape)))
    whole = [place for place, page in enumerate(pages) if not (page.is_reduced or page.is_mask)]
    return _Layout(tuple(whole or [0]))


def _complete(path: Path, page: Any) -> NDArray[Any]:
    """Return the pixels of a page after checking its size, and that its data is complete.

    tifffile would fill gaps with zeros.
    """
    check_pixels(path, int(page.imagewidth), int(page.imagelength))
    size = page.parent.filehandle.size
    ends = [offset + count for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True)]
    if max(ends, default=0) > size:
        raise ValueError(f"it ends after {size} bytes, its pixels at {max(ends)}")
    stored_bytes = sum(page.databytecounts)
    most_expansion = _UNPACKING if page.compression == _UNCOMPRESSED else _COMPRESSION
    if page.nbytes > max(_PLAUSIBLE_BYTES, stored_bytes * most_expansion):
        raise ValueError(f"its header tells of {page.nbytes:,} bytes of pixels, and {stored_bytes:,} are stored")
    array: NDArray[Any] = page.asarray()
    return array


def _bands_last(array: NDArray[Any], axes: str, path: Path) -> NDArray[Any]:
    if array.ndim != len(axes):
        raise DataError(f"{path}: cannot be read as a TIFF (its pixels are no image); is it complete?")
    if axes == "YX":
        return array[:, :, None]
    if axes == "YXS":
        return array
    if axes == "SYX":
        return np.moveaxis(array, 0, -1)
    raise DataError(f"{path}: holds pixels of the shape {array.shape} ({axes}), which are no bands of one image")


def _stacked(pages: list[NDArray[Any]], path: Path) -> NDArray[Any]:
    """Stack single-band pages to (H, W, C)."""
    shapes = {page.shape for page in pages}
    if len(shapes) > 1 or pages[0].shape[2] != 1:
        found = ", ".join("x".join(map(str, shape)) for shape in sorted(shapes)[:3])
        raise DataError(
            f"{path}: holds {len(pages)} pages of several bands or sizes ({found}; height x width x bands), which are "
            "no bands of one image; give pages: each or pages: first"
        )
    width = pages[0].shape[1]
    return np.concatenate(pages, axis=2) if len(pages) <= width else np.stack([page[:, :, 0] for page in pages])


def _name(value: Any) -> str:
    return str(getattr(value, "name", value))
