"""Finds the image and mask of each name in a list, such as VOC's ``ImageSets/Segmentation/train.txt``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from segbench.data.files.image_folder import same_name, without_suffix
from segbench.data.files.listed_files import FileFinder
from segbench.data.files.lists import Listed
from segbench.data.files.pair import Pair
from segbench.data.files.pairing import Suffixes, apart


class NameFinder:
    """Finds images and masks by name.

    A name is a path relative to the folder of images (with or without suffixes), or relative to the root.

    Args:
        root: The data set's folder.
        images: Folder of the images.
        masks: Folder of the masks.
        suffixes: Suffixes of image and mask names.
    """

    def __init__(self, root: Path, *, images: Path, masks: Path, suffixes: Suffixes) -> None:
        self.suffixes = suffixes
        self._root, self._images, self._masks = FileFinder(root), FileFinder(images), FileFinder(masks)

    def is_name(self, text: str) -> bool:
        """Return whether a text is the name of an image."""
        return bool(self.images_of(PurePosixPath(text)))

    def images_of(self, name: PurePosixPath) -> tuple[Path, ...]:
        """Return the image of a name, or several if it is ambiguous."""
        stem = without_suffix(name.name)
        written = name.parent / f"{stem}{self.suffixes.image}{name.name.removeprefix(stem)}"
        beside = [*self._images.find(written), *(self._images.find(name) if self.suffixes.image else ())]
        inside = beside or self._root.find(name)
        fitting = [file for file in inside if file.is_relative_to(self._images.root) and self._stem(file) is not None]
        return tuple(dict.fromkeys(fitting))

    def resolve(self, entries: Sequence[Listed]) -> tuple[list[Pair], list[str]]:
        """Find the files of a list.

        Returns:
            The complete pairs in the list's order, and a line for each missing or ambiguous file.
        """
        pairs: list[Pair] = []
        problems: list[str] = []
        for index, entry in enumerate(entries):
            images = self.images_of(entry.image)
            if index == 0 and entry.may_be_header and not images:
                continue
            problems += self._images.fault(entry.image, images)
            if len(images) == 1:
                pair, faults = self._paired(images[0])
                pairs += pair
                problems += faults
        return apart(pairs, problems)

    def _paired(self, image: Path) -> tuple[list[Pair], list[str]]:
        stem = self._stem(image)
        assert stem is not None, "images_of looks"
        label = PurePosixPath(f"{stem}{self.suffixes.mask}")
        masks = self._masks.with_stem(label)
        if len(masks) == 1:
            return [Pair(same_name(stem), image, masks[0])], []
        if masks:
            return [], self._masks.fault(label, masks)
        return [], [f"{image}: has no mask {label} in {self._masks.root}"]

    def _stem(self, image: Path) -> str | None:
        """Return an image's name without suffixes, relative to the folder of images; None if it is outside."""
        name = without_suffix(image.relative_to(self._images.root).as_posix())
        return name.removesuffix(self.suffixes.image) if name.endswith(self.suffixes.image) else None
