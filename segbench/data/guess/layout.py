"""Guesses how a person's folder is laid out: where images and masks are, and which of several are meant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import NamedTuple

from segbench.data.files.image_folder import ImageFolder
from segbench.data.guess.found_layout import FoundLayout, FoundSplit, OtherMasks, looks_like_mask, pair_places
from segbench.data.guess.panoptic import without_panoptic
from segbench.data.guess.tree import Place, Role, Split, places, tells_of_pictures

_LOOKED_AT = 3
"""So many files of folders whose names tell nothing are looked at, whether they are masks."""
_MOST_PLACES = 40
"""Of more folders than these, only those whose names agree are tried with one another."""


class _Candidate(NamedTuple):
    images: Place
    masks: Place
    layout: FoundLayout


def guess_layout(root: Path, *, masks: str | None = None) -> FoundLayout | None:
    """Return where a folder's images and masks are, or None where no images with masks are found in it.

    Args:
        root: The folder.
        masks: The folder of masks below it, with or without ``{split}``, or the last part of its path; None finds it.
    """
    found = without_panoptic(root, places(root)) if root.is_dir() else []
    candidates = [
        _Candidate(*pair, layout)
        for pair in _candidates(found)
        if (masks is None or _is_called(pair[1], masks, root)) and (layout := pair_places(*pair)) is not None
    ]
    if not candidates:
        return None
    best = max(candidates, key=_score)
    others = tuple(_others(best, candidates, found)) if masks is None else ()
    return replace(_with_scenes(best.layout, found), others=others)


def _is_called(place: Place, name: str, root: Path) -> bool:
    paths = [place.template, *(folder.relative_to(root).as_posix() for _, folder in place.folders.values())]
    return any(f"/{path}".endswith(f"/{name.strip('/')}") for path in paths)


def _others(best: _Candidate, candidates: Sequence[_Candidate], found: Sequence[Place]) -> Iterable[OtherMasks]:
    """Yield the other folders of masks of the best candidate's images, without those that belong to other images."""
    taken = {place.beside for place in found if place.role is Role.IMAGES and place != best.images}
    taken.discard(best.images.beside)
    for other in candidates:
        apart = other.masks.template not in (best.masks.template, other.images.template)
        if other.images == best.images and apart and other.masks.beside not in taken:
            of_pictures = other.masks.pictured and not best.masks.pictured
            of_no_annotations = best.masks.annotated and not other.masks.annotated and other.masks.role is Role.MASKS
            yield OtherMasks(other.masks.template, len(other.layout.pairs), of_pictures or of_no_annotations)


def _candidates(found: Sequence[Place]) -> Iterable[tuple[Place, Place]]:
    """Yield places that may hold images and their masks; folders whose names tell nothing are looked into."""
    unknown = {place.template for place in found if place.role is Role.UNKNOWN and _holds_masks(place)}
    masks = [place for place in found if place.role is Role.MASKS or place.template in unknown]
    images = [place for place in found if place.role is not Role.MASKS]
    few = len(images) * len(masks) <= _MOST_PLACES**2
    for left, right in product(images, masks):
        told = left.role is Role.IMAGES or right.role is Role.MASKS or left.template not in unknown
        if left != right and told and (few or left.beside == right.beside):
            yield left, right
    yield from ((place, place) for place in found)


def _score(candidate: _Candidate) -> tuple[float, ...]:
    images, masks, layout = candidate
    roles = (images.role is Role.IMAGES) + (masks.role is Role.MASKS)
    apart = images.template != masks.template
    pictured = masks.pictured or tells_of_pictures(layout.suffixes.mask)
    names = images.template, masks.template
    return (
        -pictured,
        roles if apart else 0.5,
        masks.annotated and _covers_a_split(layout),
        len(layout.pairs),
        not layout.by_list,
        images.beside == masks.beside,
        -len("".join(names)),
    )


def _covers_a_split(layout: FoundLayout) -> bool:
    """Whether most images of a split have masks; those of a test may have none."""
    return any(len(part.pairs) >= max(1, part.without_mask) for part in layout.splits.values())


def _with_scenes(best: FoundLayout, found: Sequence[Place]) -> FoundLayout:
    """Take in the other folders of the same kind: beside ``a/images`` and ``a/masks``, ``b/images`` and ``b/masks``."""
    alike = [
        (images, masks)
        for images in found
        if images.role is Role.IMAGES and _shape(images) == _shape_of(best.images)
        if (masks := _masks_of(images, best, found)) is not None
    ]
    if len(alike) < 2 or (best.images, best.masks) not in [(left.template, right.template) for left, right in alike]:
        return best
    layouts = [layout for images, masks in alike if (layout := pair_places(images, masks)) is not None]
    splits: dict[Split, FoundSplit] = {}
    for layout in layouts:
        for split, part in layout.splits.items():
            known = splits.get(split, FoundSplit(part.name))
            splits[split] = replace(
                known, pairs=(*known.pairs, *part.pairs), without_mask=known.without_mask + part.without_mask
            )
    return FoundLayout(best.images, best.masks, splits, by_list=True)


def _masks_of(images: Place, best: FoundLayout, found: Sequence[Place]) -> Place | None:
    """Return the folder of masks that belongs to one of images; of several, the one that is called as the best."""
    own = [place for place in found if place.role is Role.MASKS and place.beside == images.beside]
    return max(
        own, key=lambda place: (place.template == best.masks, _shape(place) == _shape_of(best.masks)), default=None
    )


def _shape(place: Place) -> tuple[int, str]:
    return _shape_of(place.template)


def _shape_of(template: str) -> tuple[int, str]:
    """Return what scenes of one data set agree in: the depth of their folders, and what these are called."""
    parts = template.split("/")
    return len(parts), parts[-1] if len(parts) > 1 else template


def _holds_masks(place: Place) -> bool:
    """Whether all of some files look like masks."""
    _, folder = next(iter(place.folders.values()))
    files = list(ImageFolder(folder, recursive=place.nested).files.values())
    some = files[:: max(1, len(files) // _LOOKED_AT)][:_LOOKED_AT]
    return bool(some) and all(looks_like_mask(file) for file in some)
