"""Lists files that are in no pair: duplicates, further images of a mask, and unpaired files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from segbench.data.files.image_folder import ImageFolder, below, image_files, same_name, which
from segbench.data.files.pair import Pair
from segbench.data.files.pairing import Suffixes

_SHOWN = 3
_SEPARATORS = "_-. "
_MOSTLY = 0.5
"""A suffix is one of further images (such as modalities) if at least this fraction of pairs has it."""


@dataclass(frozen=True)
class LeftOut:
    """Files in the folders of images and masks that are in no pair.

    Attributes:
        unclear: Ambiguous images or masks with the same name.
        further: Further images of paired masks, by suffix.
        images: Images without a mask.
        masks: Masks without an image.
        chosen: The suffix of the paired images.
    """

    unclear: tuple[tuple[Path, ...], ...] = ()
    further: tuple[tuple[str, tuple[Path, ...]], ...] = ()
    images: tuple[Path, ...] = ()
    masks: tuple[Path, ...] = ()
    chosen: str = ""

    @property
    def has_problems(self) -> bool:
        """Whether folders would be refused because of them, so that lists are needed."""
        return bool(self.unclear or self.images or self.masks) or bool(self.further and not self.chosen)

    def notes(self, root: Path) -> list[str]:
        """Return notes about what is left out, and what to do about it.

        Args:
            root: Paths are shown relative to this folder.
        """
        notes = [below(root, f"left out: {which(paths)}") for paths in self.unclear]
        if len(notes) > _SHOWN:
            notes[_SHOWN:] = [f"and {len(notes) - _SHOWN:,} more names of several files are left out"]
        notes += [self._modalities(root)] if self.further else []
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


def left_out(pairs: Sequence[Pair], suffixes: Suffixes) -> LeftOut:
    """Return the files in the pairs' folders that are in no pair.

    Args:
        pairs: All pairs of a data set.
        suffixes: Suffixes of image and mask names.
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
    return LeftOut(
        unclear=tuple(unclear),
        further=further,
        images=tuple(file for file in alone if _base(file, suffixes.image) not in told),
        masks=tuple(
            file
            for file, is_mask in free.items()
            if is_mask and _ends(file, suffixes.mask) and _base(file, suffixes.mask) not in told
        ),
        chosen=suffixes.image,
    )


def _several(folder: Path, used: set[Path]) -> list[tuple[Path, ...]]:
    candidates = ImageFolder(folder).candidates.values()
    return [paths for paths in candidates if len(paths) > 1 and not used.intersection(paths)]


def _is_mask(file: Path, suffixes: Suffixes) -> bool:
    """Return whether a file in a common folder is a mask by its suffix."""
    return len(suffixes.mask) > len(suffixes.image) and _ends(file, suffixes.mask)


def _by_ending(
    files: Iterable[Path], bases: set[tuple[Path, str]], suffixes: Suffixes
) -> tuple[tuple[tuple[str, tuple[Path, ...]], ...], list[Path]]:
    """Split files into further images of pairs (by suffix) and others."""
    found: dict[str, list[Path]] = {}
    for file in files:
        found.setdefault(_ending(file, bases), []).append(file)
    least = 1 if suffixes.image else max(2, _MOSTLY * len(bases))
    further = [ending for ending in sorted(found) if ending and len(found[ending]) >= least]
    alone = [file for ending, held in found.items() if ending not in further for file in held]
    return tuple((ending, tuple(found[ending])) for ending in further), alone


def _ending(file: Path, bases: set[tuple[Path, str]]) -> str:
    """Return the suffix after a pair's name in another image's name; empty without one."""
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
