"""Detects palette images whose indices are not the classes, because palettes differ between files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from itertools import islice
from pathlib import Path

from PIL import Image

from segbench.data.base import Color
from segbench.data.masks.label_table import color_codes, color_of
from segbench.data.masks.near_colors import nearest
from segbench.data.masks.stored import palette_of, read_stored, used_numbers
from segbench.data.masks.terms import KEYS, MaskTerms
from segbench.errors import DataError

_LOOKED_AT = 20
_REMEMBERED = 100_000
"""Number of files whose palettes are cached in this process, since splits are opened repeatedly."""


def differing_palettes(files: Iterable[Path], *, terms: MaskTerms = KEYS) -> str | None:
    """Return a problem if a number has different colours in several palette images; else None.

    Only headers are read unless palettes differ; then only used numbers count. Grey ramps and unreadable files are
    ignored.
    """
    by_palette: dict[bytes, list[Path]] = {}
    for file in files:
        palette = _palette(file)
        if palette is not None:
            by_palette.setdefault(palette, []).append(file)
    ordered = (file for same in by_palette.values() for file in same)
    return _difference(ordered, terms) if len(by_palette) > 1 else None


def differing_between(files: Iterable[Path], others: Iterable[Path]) -> str | None:
    """Return a problem if a number has different colours in two sets of palette images; else None.

    As in ``differing_palettes``, only headers are read unless palettes differ. The problem names a file of each set.
    """
    ours, theirs = list(files), list(others)
    hashes = [{palette for file in some if (palette := _palette(file)) is not None} for some in (ours, theirs)]
    return _difference([*ours, *theirs], KEYS) if all(hashes) and len(hashes[0] | hashes[1]) > 1 else None


def permuted_palettes(files: Iterable[Path], others: Iterable[Path], *, terms: MaskTerms = KEYS) -> str | None:
    """Return a problem if most colours of palette images have other numbers in another set; else None.

    Two sets of masks may use different colours for equal numbers. But if equal (or similar) colours have different
    numbers, the numbers are not the classes. Only the first files of each set are compared.
    """
    first, second = (_numbers_of_colors(paths) for paths in (files, others))
    shared = {color: near for color in first if (near := color if color in second else nearest(color, second))}
    moved = sorted(color for color, near in shared.items() if first[color] != second[near])
    if len(moved) < 2 or 2 * len(moved) <= len(shared):
        return None
    color, near = moved[0], shared[moved[0]]
    nearly = "" if near == color else f" (nearly: {near})"
    return (
        f"the colour {color} is number {first[color]} in the palettes of the labels, and{nearly} {second[near]} in "
        f"those of the predictions, and so for {len(moved)} of {len(shared)} colours; the colours are the classes "
        f"then, not the numbers: give {terms.quoted(terms.palette)}, the colour of each class"
    )


def _numbers_of_colors(files: Iterable[Path]) -> dict[Color, int]:
    return {color: index for file in islice(files, _LOOKED_AT) for index, color in _used_colors(file).items()}


def _difference(files: Iterable[Path], terms: MaskTerms) -> str | None:
    known: dict[int, tuple[Color, Path]] = {}
    for file in files:
        for index, color in _used_colors(file).items():
            before, first = known.setdefault(index, (color, file))
            if before != color:
                return (
                    f"{file}: the palette's colour {index} is {color}, but {before} in {first}; the colours are the "
                    f"classes then, not the numbers: give {terms.quoted(terms.palette)}, the colour of each class (or, "
                    "where the numbers are right all the same, save the masks as grey PNGs)"
                )
    return None


def _used_colors(file: Path) -> dict[int, Color]:
    try:
        stored = read_stored(file)
    except DataError:
        return {}
    if stored.palette is None or stored.numbers is None:
        return {}
    used = [int(index) for index in used_numbers(stored.numbers) if index < len(stored.palette)]
    colors = color_codes(stored.palette).tolist()
    return {index: color_of(colors[index]) for index in used}


def _palette(file: Path) -> bytes | None:
    """Return a hash of a file's palette; None if it has none or cannot be read."""
    try:
        state = file.stat()
    except OSError:
        return None
    return _palette_hash(file, state.st_size, state.st_mtime_ns)


@lru_cache(_REMEMBERED)
def _palette_hash(file: Path, _size: int, _changed_ns: int) -> bytes | None:
    try:
        with Image.open(file) as image:
            colors = palette_of(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
    return None if colors is None else hashlib.blake2b(colors.tobytes(), digest_size=16).digest()
