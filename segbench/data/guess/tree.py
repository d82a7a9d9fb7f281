"""Finds the folders of images below a root, and derives split and role (images, masks) from their names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from segbench.data.files.image_folder import IMAGE_SUFFIXES, folders_below, is_folder, visible


class Role(StrEnum):
    """The role of a folder's files by its name."""

    IMAGES = "images"
    MASKS = "masks"
    UNKNOWN = "unknown"


class Split(StrEnum):
    """The purpose of a split, independent of its folder's name; ``ALL`` is for folders without splits."""

    TRAIN = "train"
    VALIDATION = "val"
    TEST = "test"
    ALL = "all"


_IMAGE_WORDS = frozenset(
    (
        *("images", "image", "imgs", "img", "rgb", "photos", "photo", "pictures", "picture", "frames"),
        *("inputs", "input", "originals", "original"),
    )
)
_MASK_WORDS = frozenset(
    (
        *("masks", "mask", "labels", "label", "lbl", "annotations", "annotation", "annots", "annot", "anns", "ann"),
        *("segmentations", "segmentation", "segmentationclass", "seg", "gt", "truth", "groundtruth", "targets"),
        *("target", "manual"),
    )
)
_PICTURE_WORDS = frozenset(
    (
        *("visualization", "visualisation", "visualizations", "vis", "viz", "overlay", "overlays", "preview"),
        *("color", "colors", "colour", "colours", "colored", "instance", "instances", "object", "objects", "edges"),
        *("contours", "depth", "disparity", "polygons"),
    )
)
"""Folders and suffixes with these words contain pictures made from masks, or data that is not classes."""

_ANNOTATION_WORDS = frozenset(("ann", "anns", "gt", "lbl"))
_IN_ANNOTATION_WORDS = ("annot", "label", "manual", "truth")
"""What somebody annotated; ``mask`` may also be a field of view, as in DRIVE, whose annotations are ``1st_manual``."""

_SPLIT_WORDS = {
    **dict.fromkeys(("training", "train", "trn"), Split.TRAIN),
    **dict.fromkeys(("validation", "valid", "val", "dev"), Split.VALIDATION),
    **dict.fromkeys(("testing", "test", "tst"), Split.TEST),
}
_OF_NNUNET = {"Tr": Split.TRAIN, "Ts": Split.TEST}
_ANY_SPLIT = "|".join(_SPLIT_WORDS)
_ANY_ROLE = "|".join(sorted(_IMAGE_WORDS | _MASK_WORDS, key=len, reverse=True))
_SPLIT_PATTERNS = (
    re.compile(rf"(?:(?<![A-Za-z])|(?<=[a-z])(?=[A-Z]))((?i:{_ANY_SPLIT}))(?:\d{{4}})?(?![a-z0-9])"),
    re.compile(rf"^((?i:{_ANY_SPLIT}))(?=(?i:{_ANY_ROLE})$)"),  # trainannot
    re.compile(r"(?<=^images)(Tr|Ts)$|(?<=^labels)(Tr|Ts)$"),
)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


@dataclass(frozen=True)
class Place:
    """Folders with the same role, one for each split.

    Attributes:
        template: Path relative to the root, with ``{split}`` for the name of a split.
        role: Whether their names mean images or masks.
        beside: The template without the word of the role; usually equal for matching images and masks.
        pictured: Whether the name means pictures made from masks.
        annotated: Whether the name tells of annotations, which a folder of masks need not hold.
        folders: The name in the template and the folder of each split.
        nested: Whether there are images in subfolders.
    """

    template: str
    role: Role
    beside: str
    pictured: bool
    folders: Mapping[Split, tuple[str, Path]] = field(default_factory=dict)
    nested: bool = False
    annotated: bool = False

    def folder(self, split: Split) -> Path:
        """Return the folder of a split, or the only folder without splits."""
        return self.folders[split if split in self.folders else Split.ALL][1]

    def serves(self, split: Split, other: Place) -> bool:
        """Whether this place and another have a folder for a split, of its own or for all, and one of them its own."""
        both = all({split, Split.ALL} & place.folders.keys() for place in (self, other))
        return both and split in {*self.folders, *other.folders}


@dataclass(frozen=True)
class _Named:
    place: Place
    split: Split
    name: str
    depth: int


def places(root: Path) -> list[Place]:
    """Return the folders of images below a root by role, ordered by name."""
    found: dict[str, Place] = {}
    folders = [folder.relative_to(root).parts for folder in _with_images(root)]
    told = {name.place.template for name in map(_named, folders) if name.place.role is not Role.UNKNOWN}
    for parts in folders:
        named = _named(parts)
        if named.place.role is Role.UNKNOWN and any(one.startswith(f"{named.place.template}/") for one in told):
            named = _named(parts, least_depth=named.depth + 1)  # train/vessels beside train/images
        place = found.get(named.place.template, named.place)
        base = root.joinpath(*parts[: named.depth])
        found[place.template] = Place(
            place.template,
            place.role,
            place.beside,
            place.pictured,
            {**place.folders, named.split: (named.name, base)},
            nested=place.nested or len(parts) > named.depth,
            annotated=place.annotated,
        )
    return [found[template] for template in sorted(found)]


def tells_of_pictures(text: str) -> bool:
    """Return whether a name means pictures made from masks, or data that is not classes."""
    return any(word in _PICTURE_WORDS for word in _words(text))


def tells_of_masks(text: str) -> bool:
    """Return whether a name contains a word for masks."""
    return any(word in _MASK_WORDS for word in _words(text))


def tells_of_annotations(text: str) -> bool:
    """Whether a name has a word for what somebody annotated, and not just for masks."""
    return any(word in _ANNOTATION_WORDS or any(part in word for part in _IN_ANNOTATION_WORDS) for word in _words(text))


def tells_of_images(text: str) -> bool:
    """Return whether a name contains a word for images."""
    return any(word in _IMAGE_WORDS for word in _words(text))


def _with_images(root: Path) -> Iterable[Path]:
    for folder in folders_below(root):
        files = (entry for entry in visible(folder) if not is_folder(entry))
        if any(Path(entry.name).suffix.lower() in IMAGE_SUFFIXES for entry in files):
            yield folder


def _named(parts: tuple[str, ...], *, least_depth: int = 0) -> _Named:
    """Return split and role by the names of a folder and its tell, so many of them at least."""
    splits = [(index, match) for index, part in enumerate(parts) if (match := _split_in(part))]
    at, match = splits[0] if splits else (-1, None)
    name = match.group() if match else ""
    without = [part.replace(name, "", 1) if index == at else part for index, part in enumerate(parts)]
    roles = [(index, role) for index, part in enumerate(without) if (role := _role(part)) is not Role.UNKNOWN]
    role_at, role = roles[-1] if roles else (-1, Role.UNKNOWN)
    depth = max(at, role_at) + 1 if splits or roles else len(parts)
    depth = min(max(depth, least_depth), len(parts))
    template = "/".join(
        _escaped(part[: match.start()]) + "{split}" + _escaped(part[match.end() :])
        if match and index == at
        else _escaped(part)
        for index, part in enumerate(parts[:depth])
    )
    beside = "/".join(_without_role(part) if index == role_at else part for index, part in enumerate(without[:depth]))
    pictured = any(tells_of_pictures(part) for part in without[:depth])
    annotated = role is Role.MASKS and tells_of_annotations(without[role_at])
    place = Place(template or ".", role, beside, pictured, annotated=annotated)
    return _Named(place, _split(name), name, depth)


def _split_in(part: str) -> re.Match[str] | None:
    return next((match for pattern in _SPLIT_PATTERNS if (match := pattern.search(part))), None)


def _split(name: str) -> Split:
    return _OF_NNUNET.get(name) or _SPLIT_WORDS.get(re.sub(r"\d+$", "", name).lower(), Split.ALL)


def _role(part: str) -> Role:
    words = set(_words(part))
    if words & _MASK_WORDS:
        return Role.MASKS
    return Role.IMAGES if words & _IMAGE_WORDS else Role.UNKNOWN


def _without_role(part: str) -> str:
    words = [word for word in _WORD.findall(part) if word.lower() in _MASK_WORDS | _IMAGE_WORDS]
    return part.replace(words[-1], "*", 1)


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def _escaped(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")
