"""Guesses images, masks, splits and classes of a user's data folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from segbench.data.datasets.pages import chosen_pages
from segbench.data.files.image_folder import below
from segbench.data.files.pair import Pair
from segbench.data.guess.classes import guess_classes
from segbench.data.guess.found_classes import FoundClasses
from segbench.data.guess.found_layout import FoundLayout, OtherMasks
from segbench.data.guess.images import FoundImages, guess_images, guess_pages
from segbench.data.guess.layout import guess_layout
from segbench.data.guess.left_out import LeftOut, left_out
from segbench.data.guess.lists import with_lists
from segbench.data.guess.tree import Split
from segbench.data.guess.void import without_void_splits
from segbench.data.masks.class_files import find_class_file
from segbench.data.masks.survey import survey_masks


@dataclass(frozen=True)
class Found:
    """The guessed data set.

    Attributes:
        layout: Locations of images and masks.
        classes: The classes of the masks.
        train: Name of the training split.
        validation: Name of the validation split; None if there is only a test split.
        test: Name of the test split.
        lists: The pairs of each split if lists must be written; file names are relative to the root.
        drawn: Whether the splits must be drawn at random from all pairs.
        images: Format of the images.
        notes: Notes for the user.
        pages: What to do with files of several pages; None where there are none, or that is not clear.
        open_masks: Other folders of masks of the same images, any of which may be meant.
    """

    layout: FoundLayout
    classes: FoundClasses = field(default_factory=FoundClasses)
    train: str = "train"
    validation: str | None = None
    test: str = "test"
    lists: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    drawn: bool = False
    images: FoundImages = field(default_factory=FoundImages)
    notes: tuple[str, ...] = ()
    pages: Literal["each"] | None = None
    open_masks: tuple[OtherMasks, ...] = ()

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """All listed pairs."""
        return tuple(pair for pairs in self.lists.values() for pair in pairs)

    @property
    def training_images(self) -> int:
        """Number of pairs of the training split; 0 if it must be drawn."""
        return len(self.layout.splits[Split.TRAIN].pairs) if Split.TRAIN in self.layout.splits else 0


def guess(root: Path, *, masks: str | None = None) -> Found | None:
    """Guess the data set in a folder; None if no images with masks are found.

    Args:
        root: The folder.
        masks: The folder of masks below it, see ``guess_layout``; None finds it.
    """
    layout = with_lists(root, guess_layout(root, masks=masks))
    if layout is None:
        return None
    left = left_out(layout.pairs, layout.suffixes) if layout.split_file is None else LeftOut()
    if left.has_problems or any(part.without_mask for part in layout.paired.values()):
        layout = replace(layout, by_list=True)  # a folder with left-out files would be refused
    labels = sorted({pair.label for pair in layout.pairs})
    named = find_class_file(_folders_of_names(root, layout))
    pages, paged = guess_pages(layout.pairs)
    survey = survey_masks(labels, every_page=pages is not None)
    survey.problem = below(root, survey.problem)
    classes = guess_classes(survey, named=named, ending=layout.suffixes.mask)
    layout, blank = without_void_splits(layout, classes)
    train, validation, test = _roles(layout)
    listed = {split: _relative(root, part.pairs) for split, part in layout.paired.items()}
    images = guess_images(chosen_pages(layout.pairs, pages)[0])
    drawn = train is None
    if drawn:
        lists = {"all": tuple(pair for pairs in listed.values() for pair in pairs)}
    else:
        lists = {str(split): pairs for split, pairs in listed.items()} if layout.by_list else {}
    return Found(
        layout,
        classes,
        train=train or "train",
        validation=validation,
        test=test or "test",
        lists=lists,
        drawn=drawn,
        images=images,
        pages=pages,
        open_masks=() if layout.lists_pairs else tuple(one for one in layout.others if not one.less_likely),
        notes=(
            *_other_masks(layout),
            *blank,
            *_split_notes(layout, left, told=bool(blank)),
            *left.notes(root),
            *(below(root, note) for note in (*paged, *images.notes)),
        ),
    )


def _other_masks(layout: FoundLayout) -> list[str]:
    """Name the folders of masks of the same images whose names tell that they are not meant."""
    if layout.lists_pairs:
        return []
    return [
        f"{other.masks} holds masks of {other.pairs:,} of the images too, and is not read: {layout.masks} is, by its "
        f"name. If the others are meant: segbench init --masks '{other.masks}'"
        for other in layout.others
        if other.less_likely
    ]


def _roles(layout: FoundLayout) -> tuple[str | None, str | None, str | None]:
    """Return the names of the training, validation and test splits; None for all if they must be drawn."""
    paired = layout.paired
    names = {split: str(split) if layout.by_list else found.name for split, found in paired.items()}
    train, validation, test = (names.get(split) for split in (Split.TRAIN, Split.VALIDATION, Split.TEST))
    if train is None or not (validation or test):
        return None, None, None
    return (train, validation, test) if test else (train, None, validation)


def _split_notes(layout: FoundLayout, left: LeftOut, *, told: bool = False) -> list[str]:
    """Yield notes about images without masks (unless reported already) and about the proposed splits."""
    paired = layout.paired
    notes = []
    for split, found in layout.splits.items():
        if found.without_mask and split not in paired and not told:
            notes.append(f"{found.name}: its {found.without_mask:,} images have no masks and are left out")
        elif (
            found.without_mask
            and split in paired
            and not (left.images or left.unclear or left.further or left.further_masks)
        ):  # whole folders have none
            notes.append(
                f"{found.name}: {found.without_mask:,} images have no mask and are left out".removeprefix(": ")
            )
    if Split.TRAIN in paired and Split.VALIDATION in paired and Split.TEST not in paired:
        notes.append(f"{paired[Split.VALIDATION].name} is the test split: there is no other with masks")
    elif len(paired) == 1 and Split.ALL not in paired:
        notes.append(f"only {next(iter(paired.values())).name} has masks: the test images are drawn from it")
    return notes


def _relative(root: Path, pairs: tuple[Pair, ...]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (pair.image.relative_to(root).as_posix(), pair.label.relative_to(root).as_posix())
        for pair in sorted(pairs, key=lambda pair: pair.image)
    )


def _folders_of_names(root: Path, layout: FoundLayout) -> list[Path]:
    """Return folders that may contain a file of class names: that of the first mask and its parents up to the root."""
    mask = layout.pairs[0].label
    above = [folder for folder in mask.parents if folder == root or folder.is_relative_to(root)]
    return [*reversed(above)]
