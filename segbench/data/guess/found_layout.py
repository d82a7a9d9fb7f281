"""The layout of images and masks that is found: the files of two places in pairs, split by split."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from segbench.data.decoding.decoding import reading_page
from segbench.data.files.image_folder import ImageFolder
from segbench.data.files.pair import Pair
from segbench.data.files.pairing import Suffixes, pair_by_name
from segbench.data.guess.endings import beginning, guess_endings, guess_endings_in_one_folder
from segbench.data.guess.tree import Place, Split, tells_of_masks
from segbench.data.masks.opacity import OpacityError
from segbench.data.masks.stored import read_stored, used_numbers
from segbench.errors import DataError

_LOOKED_AT = 3
"""So many files of folders whose names tell nothing are looked at, whether they are masks."""
_MOST_LEVELS = 64
"""More values or colours than these are a picture, not a mask."""
_LOSSY = (".jpg", ".jpeg")


@dataclass(frozen=True)
class FoundSplit:
    """Images and masks of one split.

    Attributes:
        name: What ``{split}`` stands for; empty where there are no splits.
        pairs: Images with their masks.
        without_mask: Images that have none.
    """

    name: str
    pairs: tuple[Pair, ...] = ()
    without_mask: int = 0


@dataclass(frozen=True)
class OtherMasks:
    """Another folder of masks of the same images.

    Attributes:
        masks: The folder relative to the root, with ``{split}`` where splits have folders of their own.
        pairs: How many of the images have a mask in it.
        less_likely: Whether its name tells that it is not meant.
    """

    masks: str
    pairs: int
    less_likely: bool


@dataclass(frozen=True)
class FoundLayout:
    """Where images and masks are.

    Attributes:
        images: Folder of images relative to the root, with ``{split}`` where splits have folders of their own.
        masks: Folder of masks, likewise.
        splits: What is in each split; those without any pair are images alone.
        suffixes: What follows the common name in image and mask files.
        recursive: Whether the folders hold folders.
        by_list: Whether only lists can name the pairs: folders and endings do not say how they pair.
        split_file: The lists that are there already, relative to the root, with ``{split}``.
        lists_pairs: Whether those lists name images and masks, not just images.
        others: Other folders of masks of the same images.
    """

    images: str
    masks: str
    splits: Mapping[Split, FoundSplit] = field(default_factory=dict)
    suffixes: Suffixes = field(default_factory=Suffixes)
    recursive: bool = False
    by_list: bool = False
    split_file: str | None = None
    lists_pairs: bool = False
    others: tuple[OtherMasks, ...] = ()

    @property
    def paired(self) -> dict[Split, FoundSplit]:
        """The splits that hold pairs."""
        return {split: found for split, found in self.splits.items() if found.pairs}

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """The pairs of all splits."""
        return tuple(pair for found in self.splits.values() for pair in found.pairs)


def pair_places(images: Place, masks: Place) -> FoundLayout | None:
    """Pair the files of two places, or of one; None where none pair."""
    one = images.template == masks.template
    shared = images.folders.keys() & masks.folders.keys()
    splits = [split for split in Split if split in shared or (not shared and images.serves(split, masks))]
    if not splits:
        return None
    files = {split: _files(images, masks, split) for split in splits}
    largest = max(files.values(), key=lambda both: min(len(both[0].candidates), len(both[1].candidates)))
    names = [list(folder.candidates) for folder in largest]
    suffixes = guess_endings_in_one_folder(names[0]) if one else guess_endings(*names)
    by_list = not shared or any(images.folders[split][0] != masks.folders[split][0] for split in shared)
    if suffixes is None:
        found = {split: _by_kind(split_name(images, split), both[0]) for split, both in files.items()}
        by_list = True
    else:
        found = {split: _by_endings(split_name(images, split), both, suffixes) for split, both in files.items()}
        if not one and (others := dict(_by_own_endings(images, files, found))):
            found |= others
            by_list = True
    if not one and not any(split.pairs for split in found.values()):
        found = {split: _by_numbers(split_name(images, split), both) for split, both in files.items()}
        by_list = True
    if not any(split.pairs for split in found.values()):
        return None
    found = {  # of images that all splits share, those without a mask are told by name
        split: part if split in images.folders else replace(part, without_mask=0) for split, part in found.items()
    }
    alone = {split: _alone(images, split) for split in images.folders if shared and split not in found}
    return FoundLayout(
        images.template,
        masks.template,
        {**found, **alone},
        suffixes=suffixes or Suffixes(),
        recursive=images.nested or masks.nested,
        by_list=by_list,
    )


def split_name(place: Place, split: Split) -> str:
    """Return what a split is called in the names of folders; its kind where it has no folder of its own."""
    return place.folders[split][0] if split in place.folders else str(split)


def _files(images: Place, masks: Place, split: Split) -> tuple[ImageFolder, ImageFolder]:
    return tuple(  # type: ignore[return-value]
        ImageFolder(place.folder(split), recursive=images.nested or masks.nested) for place in (images, masks)
    )


def _alone(images: Place, split: Split) -> FoundSplit:
    name, folder = images.folders[split]
    return FoundSplit(name, without_mask=len(ImageFolder(folder, recursive=images.nested).candidates))


def _by_endings(name: str, files: tuple[ImageFolder, ImageFolder], suffixes: Suffixes) -> FoundSplit:
    pairs, _ = pair_by_name(*files, suffixes=suffixes)
    if files[0].folder == files[1].folder and not tells_of_masks(suffixes.mask):
        pairs = pairs if all(looks_like_mask(pair.label) for pair in pairs[:_LOOKED_AT]) else []
    fitting = [stem for stem in files[0].candidates if stem.endswith(suffixes.image)]
    if files[0].folder == files[1].folder:
        fitting = [stem for stem in fitting if not suffixes.mask or not stem.endswith(suffixes.mask)]
    return FoundSplit(name, tuple(pairs), without_mask=max(0, len(fitting) - len(pairs)))


def _by_own_endings(
    images: Place, files: Mapping[Split, tuple[ImageFolder, ImageFolder]], found: Mapping[Split, FoundSplit]
) -> Iterable[tuple[Split, FoundSplit]]:
    """Yield the splits that others' endings do not pair and their own do: ``21_training``, ``01_test`` of DRIVE."""
    if not any(part.pairs for part in found.values()):
        return
    for split, part in found.items():
        if not part.pairs:
            own = guess_endings(*(list(folder.candidates) for folder in files[split]))
            again = _by_endings(split_name(images, split), files[split], own)
            if again.pairs:
                yield split, again


def _by_kind(name: str, files: ImageFolder) -> FoundSplit:
    """Pair files of one name in one folder: the photograph is the image, the file that keeps exact values the mask."""
    pairs = []
    alone = 0
    for stem, paths in sorted(files.candidates.items()):
        lossy = [path for path in paths if path.suffix.lower() in _LOSSY]
        exact = [path for path in paths if path not in lossy]
        if len(lossy) == len(exact) == 1:
            pairs.append(Pair(stem, lossy[0], exact[0]))
        alone += len(lossy) - (len(lossy) == len(exact) == 1)
    fitting = pairs and all(looks_like_mask(pair.label) for pair in pairs[:_LOOKED_AT])
    return FoundSplit(name, tuple(pairs) if fitting else (), without_mask=alone)


def _by_numbers(name: str, files: tuple[ImageFolder, ImageFolder]) -> FoundSplit:
    """Pair names that agree after what all begin with: ``img_001`` with ``mask_001``."""
    stems = [_after_beginning(folder) for folder in files]
    shared = sorted(stems[0].keys() & stems[1].keys())
    pairs = [Pair(stem, stems[0][stem], stems[1][stem]) for stem in shared]
    return FoundSplit(name, tuple(pairs), without_mask=len(stems[0]) - len(pairs))


def _after_beginning(files: ImageFolder) -> dict[str, Path]:
    start = re.sub(r"\d+$", "", beginning(list(files.files)))
    found = {stem.removeprefix(start): path for stem, path in files.files.items()}
    return {stem: path for stem, path in found.items() if stem and stem[0].isdigit()}


def looks_like_mask(file: Path) -> bool:
    """Whether a file has few values and is not lossy."""
    try:
        with reading_page(0):
            stored = read_stored(file)
    except OpacityError:
        return True  # which is told when the masks are looked through
    except DataError:
        return False
    if stored.colors is not None:
        return not stored.lossy and len(np.unique(stored.colors.reshape(-1, 3), axis=0)) <= _MOST_LEVELS
    return not stored.lossy and stored.numbers is not None and len(used_numbers(stored.numbers)) <= _MOST_LEVELS
