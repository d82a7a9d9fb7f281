"""Checks that networks are not scored on images used for training or selection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations
from typing import Literal

from segbench.data.base import SegmentationDataset
from segbench.errors import DataError

_SHOWN_IMAGES = 3


def check_disjoint(splits: Mapping[str, SegmentationDataset], *, select: Literal["last", "best"] = "last") -> None:
    """Refuse splits that share images and must not.

    ``train`` must not share images with any other split. If weights are selected by validation scores, all splits must
    differ; otherwise ``validation`` may equal ``test``. Images are compared by the data sets' ``image_ids``.

    Args:
        splits: The opened splits by role: ``train``, ``validation``, ``test``.
        select: The suite's ``train.select``.

    Raises:
        DataError: Two splits share images; names both, their number and some of them.
    """
    for role, text in shared_images(splits, select=select):
        raise DataError(f"{splits[role].info.name}: {text}")


def shared_images(
    splits: Mapping[str, SegmentationDataset], *, select: Literal["last", "best"] = "last"
) -> Iterator[tuple[str, str]]:
    """Yield the violations that ``check_disjoint`` refuses: the role of the second split, and a message."""
    images = {role: dict(zip(split.image_ids, split.names, strict=True)) for role, split in splits.items()}
    for first, second in must_differ(splits, select):
        shared = [name for key, name in images[second].items() if key in images[first]]
        if shared:
            shown = ", ".join(shared[:_SHOWN_IMAGES]) + (", …" if len(shared) > _SHOWN_IMAGES else "")
            text = (
                f"{len(shared):,} of the {len(images[second]):,} images for {second} are among those for {first} "
                f"({shown}); scores on them would say nothing. Choose splits that share no image: "
                "dataset.train_split, dataset.validation_split, dataset.test_split"
            )
            yield second, text


def must_differ(roles: Iterable[str], select: str) -> Iterator[tuple[str, str]]:
    """Yield the pairs of roles that must not share images, the training split first."""
    for pair in combinations(sorted(roles, key=lambda role: role != "train"), 2):
        if "train" in pair or select == "best":
            yield pair
