"""Names the files beside found pairs that are in none of them: doubles, further images or masks, and single ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from segbench.data.files.image_folder import ImageFolder, below, image_files, same_name, which
from segbench.data.files.pair import Pair
from segbench.data.files.pairing import Suffixes
from segbench.data.guess.found_layout import looks_like_mask

_SHOWN = 3
_LOOKED_AT = 3
"""So many further files of an ending are looked at, whether they are masks."""
_SEPARATORS = "_-. "
_MOSTLY = 0.5
"""An ending that so many pairs have beside their image is one of further images, such as modalities."""

ByEnding = tuple[tuple[str, tuple[Path, ...]], ...]
"""Files by what follows the name that they share with others."""


@dataclass(frozen=True)
class LeftOut:
    """Files in the folders of images and masks that are in no pair.

    Attributes:
        unclear: Images, or masks, of one name, of which it is not clear which is meant.
        further: Further images of the masks that are paired, by their endings.
        further_masks: Further masks of the images that are paired, likewise.
        images: Images without a mask.
        masks: Masks without an image.
        chosen: The ending of the images that are paired.
        chosen_mask: That of their masks.
        among_images: Whether further files lie among images without an ending, where a folder would be refused.
    """

    unclear: tuple[tuple[Path, ...], ...] = ()
    further: ByEnding = ()
    further_masks: ByEnding = ()
    images: tuple[Path, ...] = ()
    masks: tuple[Path, ...] = ()
    chosen: str = ""
    chosen_mask: str = ""
    among_images: bool = False

    @property
    def has_problems(self) -> bool:
        """Whether folders would be refused for them, so that only lists can leave them out."""
        return bool(self.unclear or self.images or self.masks) or self.among_images

    def notes(self, root: Path) -> list[str]:
        """Say in sentences what is left out, and what to do where it should not be.

        Args:
            root: The folder that the files are shown relative to.
        """
        notes = [below(root, f"left out: {which(paths)}") for paths in self.unclear]
        if len(notes) > _SHOWN:
            notes[_SHOWN:] = [f"and {len(notes) - _SHOWN:,} more names of several files are left out"]
        notes += [self._modalities(root)] if self.further else []
        notes += [self._other_masks(root)] if self.further_masks else []
        notes += [_counted(self.images, "image", "no mask", root)] if self.images else []
        notes += [_counted(self.masks, "mask", "no image", root)] if self.masks else []
        return notes

    def _modalities(self, root: Path) -> str:
        count, some = sum(len(files) for _, files in self.further), self.further[0][1][0]
        endings = ", ".join(ending for ending, _ in self.further)
        chosen = f"those that end in {self.chosen}" if self.chosen else "those without such an ending"
        many = len(self.further) + 1
        return (
            f"each mask has {many} images: {count:,} more end in {endings}, such as {_shown(some, root)}, and are not "
            f"used: the suite reads {chosen} alone. If they are bands of one image, as nnU-Net's modalities are, stack "
            f"them into one TIFF of all their bands for each mask ({many} where they are grey), and give "
            f"dataset.channels: {many}"
        )

    def _other_masks(self, root: Path) -> str:
        count, some = sum(len(files) for _, files in self.further_masks), self.further_masks[0][1][0]
        endings = ", ".join(ending or "no ending" for ending, _ in self.further_masks)
        chosen = f"those that end in {self.chosen_mask}" if self.chosen_mask else "those without such an ending"
        return (
            f"images have several masks: {count:,} more ({endings}), such as {_shown(some, root)}, are not used; the "
            f"suite reads {chosen} alone. If others are meant, such as those of a second annotator, give their ending "
            "as dataset.mask_suffix; where there are lists, name them there"
        )


def left_out(pairs: Sequence[Pair], suffixes: Suffixes) -> LeftOut:
    """Return the files beside some pairs that are in none of them.

    Args:
        pairs: All pairs of a data set.
        suffixes: What follows the common name in image and mask files.
    """
    used = {file for pair in pairs for file in (pair.image, pair.label)}
    images = dict.fromkeys(pair.image.parent for pair in pairs)
    masks = dict.fromkeys(pair.label.parent for pair in pairs)
    unclear = [paths for folder in {**images, **masks} for paths in _several(folder, used)]
    taken = used | {file for paths in unclear for file in paths}
    told = {_base(paths[0], suffix) for paths in unclear for suffix in suffixes}
    free = {
        file: file.parent in masks and (file.parent not in images or _is_mask(file, suffixes))
        for folder in {**images, **masks}
        for file in image_files(folder)
        if file not in taken
    }
    further, alone = _by_ending(
        [file for file, is_mask in free.items() if not is_mask], _bases(pairs, suffixes), suffixes
    )
    masks_among = tuple(group for group in further if _are_masks(group[1]))
    further = tuple(group for group in further if group not in masks_among)
    others = _other_endings([file for file, is_mask in free.items() if is_mask], pairs, suffixes)
    return LeftOut(
        unclear=tuple(unclear),
        further=further,
        further_masks=(*masks_among, *others),
        images=tuple(file for file in alone if _base(file, suffixes.image) not in told),
        masks=tuple(
            file
            for file, is_mask in free.items()
            if is_mask and _ends(file, suffixes.mask) and _base(file, suffixes.mask) not in told
        ),
        chosen=suffixes.image,
        chosen_mask=suffixes.mask,
        among_images=bool(further or masks_among) and not suffixes.image,
    )


def _are_masks(files: Sequence[Path]) -> bool:
    return all(map(looks_like_mask, files[:: max(1, len(files) // _LOOKED_AT)][:_LOOKED_AT]))


def _other_endings(masks: Iterable[Path], pairs: Iterable[Pair], suffixes: Suffixes) -> ByEnding:
    """Return masks that do not end as those of the pairs do, and otherwise have their names."""
    bases = {(pair.label.parent, _base(pair.label, suffixes.mask)) for pair in pairs}
    found: dict[str, list[Path]] = {}
    for file in masks:
        ending = _ending(file, bases)
        if not _ends(file, suffixes.mask) and (ending or (file.parent, same_name(file.stem)) in bases):
            found.setdefault(ending, []).append(file)
    return tuple((ending, tuple(found[ending])) for ending in sorted(found))


def _several(folder: Path, used: set[Path]) -> list[tuple[Path, ...]]:
    candidates = ImageFolder(folder).candidates.values()
    return [paths for paths in candidates if len(paths) > 1 and not used.intersection(paths)]


def _is_mask(file: Path, suffixes: Suffixes) -> bool:
    """Whether a file of a folder of images and masks is a mask by its ending."""
    return len(suffixes.mask) > len(suffixes.image) and _ends(file, suffixes.mask)


def _by_ending(files: Iterable[Path], bases: set[tuple[Path, str]], suffixes: Suffixes) -> tuple[ByEnding, list[Path]]:
    """Return the further images of pairs by their endings, and the other files."""
    found: dict[str, list[Path]] = {}
    for file in files:
        found.setdefault(_ending(file, bases), []).append(file)
    least = 1 if suffixes.image else max(2, _MOSTLY * len(bases))
    further = [ending for ending in sorted(found) if ending and len(found[ending]) >= least]
    alone = [file for ending, held in found.items() if ending not in further for file in held]
    return tuple((ending, tuple(found[ending])) for ending in further), alone


def _ending(file: Path, bases: set[tuple[Path, str]]) -> str:
    """Return what follows the name of a pair in the name of another image beside it; empty where nothing does."""
    stem = same_name(file.stem)
    places = [at for at, letter in enumerate(stem) if letter in _SEPARATORS and at]
    return next((stem[at:] for at in reversed(places) if (file.parent, stem[:at]) in bases), "")


def _bases(pairs: Iterable[Pair], suffixes: Suffixes) -> set[tuple[Path, str]]:
    return {(pair.image.parent, _base(pair.image, suffixes.image)) for pair in pairs}


def _base(file: Path, suffix: str) -> str:
    return same_name(file.stem).removesuffix(suffix)


def _ends(file: Path, suffix: str) -> bool:
    return same_name(file.stem).endswith(suffix)


def _counted(files: Sequence[Path], what: str, lacks: str, root: Path) -> str:
    has = f"1 {what} has" if len(files) == 1 else f"{len(files):,} {what}s have"
    shown = ", ".join(_shown(file, root) for file in files[:_SHOWN]) + (", …" if len(files) > _SHOWN else "")
    return f"{has} {lacks} and {'is' if len(files) == 1 else 'are'} left out: {shown}"


def _shown(file: Path, root: Path) -> str:
    return file.relative_to(root).as_posix() if file.is_relative_to(root) else str(file)
