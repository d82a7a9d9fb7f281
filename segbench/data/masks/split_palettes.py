"""Finds splits whose masks number their colours differently, where the stored numbers are the classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import NamedTuple

from segbench.data.base import SegmentationDataset
from segbench.data.masks.palettes import differing_between
from segbench.errors import DataError


class DifferingPalettes(NamedTuple):
    """Two splits in whose palettes one number has different colours.

    Attributes:
        role: The second of the two.
        text: What was found, and what to do.
    """

    role: str
    text: str


def differing_splits(
    splits: Mapping[str, SegmentationDataset], titles: Mapping[str, str]
) -> Iterator[DifferingPalettes]:
    """Yield the splits whose palettes contradict those of an earlier one.

    Args:
        splits: By what they are for. Those that are wrong by themselves are left out.
        titles: What each is called.
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
        DataError: Two do; names both, and a file of each.
    """
    for role, text in differing_splits(splits, titles):
        raise DataError(f"{splits[role].info.name}: {text}")
