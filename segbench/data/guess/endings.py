"""Guesses the suffixes of image and mask names, such as ``_rgb`` and ``_mask``."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from os.path import commonprefix

from segbench.data.files.pairing import Suffixes
from segbench.data.guess.tree import tells_of_annotations, tells_of_images, tells_of_masks, tells_of_pictures

_NAMES_TRIED = 5
"""Number of image names used to guess suffixes."""
_NEIGHBOURS = 8
"""Number of masks before and after an image, in the order of names, tried as its mask."""
_SEPARATORS = "_-. "
_PREFERRED = ("labeltrainids", "labelids")
"""Cityscapes has several masks of each image; the first of these is taken."""
_LEAST_SHARE = 0.5
"""In a common folder, at least this fraction of the files must be paired."""


def guess_endings(images: Sequence[str], masks: Sequence[str]) -> Suffixes:
    """Return the suffixes that pair most names; prefers short ones, and avoids those of pictures.

    Args:
        images: Names of images without the suffix of the file.
        masks: Those of masks, likewise.
    """
    ordered = sorted(masks)
    tries = {Suffixes()} | {
        ends for image in _some(images) for mask in _near(image, ordered) for ends in _of(image, mask)
    }
    return max(sorted(tries), key=lambda ends: (paired(images, masks, ends), *_liking(ends)))


def guess_endings_in_one_folder(names: Sequence[str]) -> Suffixes | None:
    """Return the suffixes that distinguish masks from images in one folder; None if there are none."""
    ordered = sorted(set(names))
    tries = {
        ends if tells_of_masks(ends.mask) or not tells_of_masks(ends.image) else Suffixes(ends.mask, ends.image)
        for name in _some(ordered)
        for other in _near(name, ordered)
        if other != name
        for ends in _of(name, other)
        if ends.image != ends.mask and all(not end or end[0] in _SEPARATORS or tells_of_masks(end) for end in ends)
    }
    fitting = [ends for ends in tries if 2 * paired(ordered, ordered, ends) >= _LEAST_SHARE * len(ordered)]
    return max(
        sorted(fitting),
        key=lambda ends: (
            tells_of_masks(ends.mask),
            tells_of_annotations(ends.mask),
            paired(ordered, ordered, ends),
        ),
        default=None,
    )


def paired(images: Sequence[str], masks: Sequence[str], endings: Suffixes) -> int:
    """Return the number of pairs with equal names without suffixes."""
    names = [
        {stem.removesuffix(ending) for stem in stems if stem.endswith(ending)}
        for stems, ending in zip((images, masks), endings, strict=True)
    ]
    return len(names[0] & names[1])


def beginning(names: Sequence[str]) -> str:
    """Return the common prefix of all names."""
    return commonprefix(list(names))  # noqa: RUF071 - letters, not folders


def _some(names: Sequence[str]) -> Sequence[str]:
    return names[:: max(1, len(names) // _NAMES_TRIED)]


def _near(name: str, ordered: Sequence[str]) -> Sequence[str]:
    """Return the names sorted before and after one, which include those with the same beginning."""
    at = bisect_left(ordered, name)
    return ordered[max(0, at - _NEIGHBOURS) : at + _NEIGHBOURS]


def _of(image: str, mask: str) -> list[Suffixes]:
    """Return the suffixes after the common prefix of two names, and after the prefix's last separator."""
    shared = beginning([image, mask])
    if not shared:
        return []
    found = [Suffixes(image.removeprefix(shared), mask.removeprefix(shared))]
    cut = max(shared.rfind(separator) for separator in _SEPARATORS)
    if cut > 0 and image != mask:
        found.append(Suffixes(image[cut:], mask[cut:]))
    return found


def _liking(endings: Suffixes) -> tuple[int, int, bool, bool, bool, int]:
    mask = endings.mask.lower()
    preferred = next((len(_PREFERRED) - index for index, end in enumerate(_PREFERRED) if mask.endswith(end)), 0)
    whole = all(not end or end[0] in _SEPARATORS for end in endings)
    of_images = not endings.image or tells_of_images(endings.image)  # photo_rgb rather than photo_depth
    annotated = tells_of_annotations(endings.mask)
    return -tells_of_pictures(endings.mask), preferred, annotated, whole, of_images, -len("".join(endings))
