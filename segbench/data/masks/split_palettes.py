"""Finds splits whose palettes contradict each other, if masks are read by index."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import NamedTuple

from segbench.data.base import SegmentationDataset
from segbench.data.masks.palettes import differing_between
from segbench.errors import DataError


class DifferingPalettes(NamedTuple):
    """Two splits with different colours for the same number.

    Attributes:
        role: The role of the second split.
        text: The problem and what to do.
    """

    role: str
    text: str


def differing_splits(
    splits: Mapping[str, SegmentationDataset], titles: Mapping[str, str]
) -> Iterator[DifferingPalettes]:
    """Yield the splits whose palettes contradict those of an earlier one.

    Args:
        splits: The splits by role; splits with problems of their own are skipped.
        titles: The name of each split.
    """
    sound = {role: split for role, split in splits.items() if split.index_masks and not split.problems}
    for first, second in combinations(sound, 2):
        if titles[first] == titles[second]:
            continue
        if problem := differing_between(sound[first].index_masks, sound[second].index_masks):
            yield DifferingPalettes(
                second,
                f"the masks of {titles[first]} and of {titles[second]} number their colours differently: {problem}",
            )


def refuse_differing_splits(splits: Mapping[str, SegmentationDataset], titles: Mapping[str, str]) -> None:
    """Refuse splits whose palettes contradict each other.

    Raises:
        DataError: Two contradict each other; names both, and a file of each.
    """
    for role, text in differing_splits(splits, titles):
        raise DataError(f"{splits[role].info.name}: {text}")
