"""Finds the files of a split in two folders or by a list."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from segbench.data.files.image_folder import ImageFolder
from segbench.data.files.listed_files import FileFinder, resolve
from segbench.data.files.listed_names import NameFinder
from segbench.data.files.lists import read_list
from segbench.data.files.pair import Pair
from segbench.data.files.pairing import Suffixes, check_told_apart, pair_by_name
from segbench.errors import MissingDataError


@dataclass(frozen=True)
class Layout:
    """Locations of the files of one split.

    Attributes:
        root: The data set's folder.
        images: Folder of the images, relative to the root, with ``{split}`` for the split.
        masks: Folder of the masks, likewise.
        suffixes: Suffixes of image and mask names.
        split: The split.
    """

    root: Path
    images: str
    masks: str
    suffixes: Suffixes
    split: str

    def paired(self, *, recursive: bool) -> tuple[list[Pair], list[str]]:
        """Pair the files of two folders."""
        images, masks = self.folders()
        image_files, mask_files = (ImageFolder(folder, recursive=recursive) for folder in (images, masks))
        return pair_by_name(image_files, mask_files, suffixes=self.suffixes)

    def listed(self, split_file: str) -> tuple[list[Pair], list[str]]:
        """Find the files of a list of pairs or of names."""
        file = self.existing(split_file, "list")
        images, masks = self.place(self.images), self.place(self.masks)
        finder = NameFinder(self.root, images=images, masks=masks, suffixes=self.suffixes)
        entries = read_list(file, is_name=finder.is_name)
        if any(entry.label is None for entry in entries):
            self.folders()
            return finder.resolve(entries)
        return resolve(self.root, entries, name=lambda image: image.with_suffix("").as_posix())

    def folders(self) -> tuple[Path, Path]:
        """Return the folders of images and masks after checking that they exist and can be distinguished."""
        images = self.existing(self.images, "folder of images")
        masks = self.existing(self.masks, "folder of masks")
        check_told_apart(images, masks, self.suffixes)
        return images, masks

    def existing(self, template: str, what: str) -> Path:
        """Return a path after checking that it exists."""
        place = self.place(template)
        if not place.exists():
            hint = "; only {split} is filled in" if "{" in template.replace("{split}", "") else ""
            raise MissingDataError(
                f"folder: the {what} {place} does not exist; check dataset.root and the split's name{hint}"
            )
        return place

    def place(self, template: str) -> Path:
        """Return a file or folder below the root, in either Unicode form of its parent folders."""
        path = PurePosixPath(template.replace("{split}", self.split).replace("\\", "/"))
        finder = FileFinder(self.root)
        return finder.folder(path) or (finder.folder(path.parent) or self.root / path.parent) / path.name
