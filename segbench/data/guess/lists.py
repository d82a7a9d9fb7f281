"""Finds existing lists of splits: ``train.txt``, or those in ``ImageSets/Segmentation``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath

from segbench.data.files.pair import Pair
from segbench.data.files.split_files import Layout
from segbench.data.guess.found_layout import FoundLayout, FoundSplit
from segbench.data.guess.tree import Split
from segbench.errors import SegbenchError

_PLACES = ("", "ImageSets/Segmentation/", "ImageSets/", "splits/", "split/", "lists/", "list/", "txt/")
_NOWHERE = FoundLayout(".nowhere", ".nowhere")
"""Folders that do not exist; a list that can be resolved with them contains its masks."""
_NAMES = {
    Split.TRAIN: ("train", "training"),
    Split.VALIDATION: ("val", "valid", "validation"),
    Split.TEST: ("test", "testing"),
}


def with_lists(root: Path, layout: FoundLayout | None) -> FoundLayout | None:
    """Return a layout with the splits of lists, if lists of a training and another split can be read.

    Folders of splits take precedence over lists.
    """
    if layout is not None and "{split}" in layout.images + layout.masks:
        return layout
    for place in _places(layout):
        found = _listed(root, layout or FoundLayout("images", "masks"), place)
        if found is not None:
            return found
    return layout


def _places(layout: FoundLayout | None) -> list[str]:
    above = str(PurePosixPath(layout.images).parent) if layout else "."
    bases = ["", *([] if above == "." else [f"{above}/"])]
    return [base + place for base in bases for place in _PLACES]


def _listed(root: Path, layout: FoundLayout, place: str) -> FoundLayout | None:
    template = place + "{split}.txt"
    splits: dict[Split, FoundSplit] = {}
    for split, names in _NAMES.items():
        name = next((name for name in names if (root / template.format(split=name)).is_file()), None)
        pairs = _pairs(root, layout, split=name, template=template) if name else None
        if name and pairs:
            splits[split] = FoundSplit(name, pairs)
    if Split.TRAIN not in splits or len(splits) < 2:
        return None
    lists_pairs = all(_pairs(root, _NOWHERE, split=part.name, template=template) for part in splits.values())
    return replace(layout, splits=splits, split_file=template, lists_pairs=lists_pairs, by_list=False)


def _pairs(root: Path, layout: FoundLayout, *, split: str, template: str) -> tuple[Pair, ...] | None:
    """Return the pairs of a list; None if it cannot be read or names missing files."""
    try:
        pairs, problems = Layout(root, layout.images, layout.masks, layout.suffixes, split).listed(template)
    except SegbenchError:
        return None
    return None if problems else tuple(pairs)
