"""Reads TIFF files at full depth: how many pages they hold, how many bands a page, and the pixels."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segbench.errors import DataError

if TYPE_CHECKING:
    from tifffile import TiffFile

CODECS = "imagecodecs"
"""What to install for compressions that tifffile leaves to imagecodecs."""

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_FAULTS = (OSError, ValueError, TypeError, LookupError, RuntimeError, ImportError, struct.error, zlib.error)
"""What tifffile and imagecodecs raise for broken files, and for compressions that they do not know."""
_ALPHA = (1, 2)
"""Values of the tag ExtraSamples that mark a band as opacity."""
_ORIENTATION = 274


class MissingCodecError(DataError):
    """A compression cannot be read with what is installed."""


class TiffFacts(NamedTuple):
    """What the header of a TIFF says of its first page; all pages of a stack are taken to be like it.

    Attributes:
        pages: Pages of full size; overviews and masks inside the file are left out.
        bands: Bands of a page.
        dtype: NumPy's name of the pixels' type.
        alpha: Whether its last band is marked as opacity.
        photometric: The tag's name, such as ``RGB``, ``PALETTE`` or ``SEPARATED`` (CMYK).
        compression: The tag's name.
        software: What wrote it, as its tag says; empty where there is none.
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
    """Where the pages of a file lie.

    Attributes:
        directories: The places of their directories.
        in_one_directory: How many pages one directory stands for, as in large stacks of ImageJ; 0 where each has one.
    """

    directories: tuple[int, ...]
    in_one_directory: int = 0


_layouts: dict[tuple[str, int, int], _Layout] = {}
"""By path, time of change and size."""


def is_tiff(path: Path) -> bool:
    """Tell whether a file begins as TIFF and BigTIFF files do; a file that cannot be read does not."""
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
    """Return the place in a TIFF of a page's directory; None where one directory stands for all pages.

    Raises:
        DataError: The file cannot be read.
    """
    with _opened(path) as tiff:
        layout = _layout_of(path, tiff)
    return None if layout.in_one_directory else layout.directories[page]


def read_tiff(path: Path, *, page: int | None = None) -> NDArray[Any]:
    """Read a page, or all pages as the bands of one image.

    Args:
        path: The file.
        page: The page, from 0; None takes all. A single page has its own bands; several are one band each. A stack of
            (H, W, C) that was written as H pages of W rows is told from one of (C, H, W) by its shortest side.

    Returns:
        (H, W, C), in the file's own type and as viewers show it: turned where the tag Orientation says so.

    Raises:
        DataError: The file cannot be read, or its pages are no bands; names the file.
    """
    with _opened(path) as tiff:
        layout = _layout_of(path, tiff)
        first: Any = tiff.pages[layout.directories[0]]
        tag = first.tags.get(_ORIENTATION)
        if layout.in_one_directory:
            stack = tiff.asarray(series=0).reshape(layout.in_one_directory, *first.shape)
            found = list(stack) if page is None else [stack[page]]
        else:
            chosen = layout.directories if page is None else (layout.directories[page],)
            found = [_complete(tiff.pages[place]) for place in chosen]
    pages = [_bands_last(array, first.axes, path) for array in found]
    image = pages[0] if len(pages) == 1 else _stacked(pages, path)
    return oriented(image, int(tag.value) if tag is not None else 1)


def oriented(image: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Return a stored (H, W, C) image as viewers show it.

    Args:
        image: The stored pixels.
        orientation: The tag's value, 1 to 8 (EXIF 2.32, section 4.6.4); others change nothing.
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
        text = " ".join(str(error).split())[:200]
        if "imagecodecs" in text or isinstance(error, ImportError):
            raise MissingCodecError(
                f"{path}: its compression cannot be read here ({text}); install it with "
                f"pip install '{CODECS}', or save the file uncompressed or with deflate"
            ) from None
        raise DataError(f"{path}: cannot be read as a TIFF ({text}); is it complete?") from None


def _layout_of(path: Path, tiff: TiffFile) -> _Layout:
    """Return where the pages lie; remembered, because finding it reads every directory of a stack."""
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


def _complete(page: Any) -> NDArray[Any]:
    """Return the pixels of a page whose data lies in the file to its end; tifffile fills what is missing with zeros."""
    size = page.parent.filehandle.size
    ends = [offset + count for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True)]
    if max(ends, default=0) > size:
        raise ValueError(f"it ends after {size} bytes, its pixels at {max(ends)}")
    array: NDArray[Any] = page.asarray()
    return array


def _bands_last(array: NDArray[Any], axes: str, path: Path) -> NDArray[Any]:
    if axes == "YX":
        return array[:, :, None]
    if axes == "YXS":
        return array
    if axes == "SYX":
        return np.moveaxis(array, 0, -1)
    raise DataError(f"{path}: holds pixels of the shape {array.shape} ({axes}), which are no bands of one image")


def _stacked(pages: list[NDArray[Any]], path: Path) -> NDArray[Any]:
    """Return pages of one band each as (H, W, C)."""
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
