"""Batches of samples, and digests of their content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from segbench.data.base import IGNORE_INDEX
from segbench.data.loading.pipeline import Prepared
from segbench.data.loading.threads import single_threaded
from segbench.errors import DataError


class Batch(NamedTuple):
    """Images for one training step.

    Attributes:
        names: The images' names.
        images: (N, 3, H, W) float32.
        labels: (N, H, W) uint8.
        digests: One hash of name, image and label for each image.
        labelled: Number of labelled pixels of each label.
    """

    names: tuple[str, ...]
    images: Tensor
    labels: Tensor
    digests: tuple[str, ...]
    labelled: tuple[int, ...]


def cut(batch: Batch, size: int | None) -> Iterator[Batch]:
    """Split a batch into nearly equal parts of at most ``size`` images; None does not split it.

    Equal parts avoid parts of one image where possible, which batch norm cannot handle in some networks.
    """
    images = len(batch.names)
    count = 1 if size is None else -(-images // size)
    bounds = [images * part // count for part in range(count + 1)]
    for start, end in pairwise(bounds):
        part = slice(start, end)
        yield Batch(
            batch.names[part], batch.images[part], batch.labels[part], batch.digests[part], batch.labelled[part]
        )


class EvaluationBatch(NamedTuple):
    """Images for one forward pass of evaluation.

    Attributes:
        names: The images' names.
        images: (N, 3, h, w) float32, after the transforms.
        labels: One (H, W) uint8 label for each image, at its original size.
        digests: One hash of name, image and label for each image.
    """

    names: tuple[str, ...]
    images: Tensor
    labels: tuple[Tensor, ...]
    digests: tuple[str, ...]


class InputDigest:
    """Hash of all inputs of a network in order, independent of the division into batches.

    Each image's digest is hashed together with the hash so far, which is therefore all the state needed to resume.

    Args:
        so_far: The hash of earlier inputs.
    """

    def __init__(self, so_far: str = "") -> None:
        self._so_far = so_far or _hashed("")

    def update(self, digests: Sequence[str]) -> None:
        """Add the digests of the next images."""
        for digest in digests:
            self._so_far = _hashed(self._so_far + digest)

    def hexdigest(self) -> str:
        """Return the hash so far."""
        return self._so_far


def _hashed(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


class LoadedSample(NamedTuple):
    """One transformed sample."""

    name: str
    prepared: Prepared
    digest: str


class FailedSample(NamedTuple):
    """An error of a worker, to be raised in the caller."""

    error: DataError


def sample_digest(name: str, prepared: Prepared) -> str:
    """Return a hash of a name, and of shapes and bytes of image and label."""
    state = hashlib.sha256(f"{name} {tuple(prepared.image.shape)}".encode())  # three times as fast as BLAKE2
    state.update(prepared.image.numpy().data)
    state.update(prepared.label.numpy().data)
    return state.hexdigest()[:32]


def _unless_failed(fed: list[LoadedSample | FailedSample]) -> list[LoadedSample] | FailedSample:
    samples: list[LoadedSample] = []
    for one in fed:
        if isinstance(one, FailedSample):
            return one
        samples.append(one)
    return samples


def check_sizes(found: Mapping[Sequence[int], str]) -> None:
    """Refuse a batch whose images differ in size.

    Args:
        found: The image of each (height, width).

    Raises:
        DataError: There is more than one size.
    """
    if len(found) > 1:
        named = ", ".join(f"{where} {height}x{width}" for (height, width), where in found.items())
        raise DataError(
            f"the images of one batch differ in size after transforms.train (height x width: {named}); "
            "add resize or random_crop"
        )


@single_threaded()
def collate_training(fed: list[LoadedSample | FailedSample]) -> Batch | FailedSample:
    """Stack samples of one size; returns the first failure instead, or an error if sizes differ."""
    samples = _unless_failed(fed)
    if isinstance(samples, FailedSample):
        return samples
    try:
        check_sizes({one.prepared.image.shape[1:]: one.name for one in samples})
    except DataError as error:
        return FailedSample(error)
    return Batch(
        tuple(one.name for one in samples),
        torch.stack([one.prepared.image for one in samples]),
        torch.stack([one.prepared.label for one in samples]),
        tuple(one.digest for one in samples),
        tuple(int(np.count_nonzero(one.prepared.label.numpy() != IGNORE_INDEX)) for one in samples),
    )


@single_threaded()
def collate_evaluation(fed: list[LoadedSample | FailedSample]) -> list[EvaluationBatch] | FailedSample:
    """Stack consecutive samples of one size; returns the first failure instead if there is one."""
    samples = _unless_failed(fed)
    if isinstance(samples, FailedSample):
        return samples
    groups = (list(group) for _, group in groupby(samples, key=lambda one: one.prepared.image.shape))
    return [
        EvaluationBatch(
            tuple(one.name for one in group),
            torch.stack([one.prepared.image for one in group]),
            tuple(one.prepared.label for one in group),
            tuple(one.digest for one in group),
        )
        for group in groups
    ]
