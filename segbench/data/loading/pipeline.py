"""Applies a suite's transforms to a sample with one seed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torchvision import tv_tensors

from segbench.config.component import TransformEntry
from segbench.config.sections.training import check_order
from segbench.data import TRANSFORMS as BUILT_IN
from segbench.data.base import EIGHT_BIT_RGB, ImageFormat, Sample
from segbench.data.loading.foreign_transforms import ForeignTransform, as_transform
from segbench.data.loading.normalization import Normalize
from segbench.data.loading.transforms import MEAN_COLOR
from segbench.errors import DataError, UsageError
from segbench.registry import TRANSFORMS

SeedParts = tuple[int, ...]


class Prepared(NamedTuple):
    """The transformed image and label.

    Attributes:
        image: (C, h, w) float32.
        label: (H, W) uint8, class indices or ``IGNORE_INDEX``; (h, w) in training, the original size in evaluation.
    """

    image: Tensor
    label: Tensor


class Pipeline:
    """The transforms of a suite, in order.

    Args:
        entries: The transforms.
        training: Whether labels are transformed too. In evaluation they are not, and transforms must be deterministic.
        images: Format of the images; 8-bit RGB by default.

    Raises:
        UsageError: A random transform is used for evaluation, or a transform follows normalisation.
        DataError: An option of a transform is out of range, or a transform does not support the images.
    """

    def __init__(
        self, entries: Sequence[TransformEntry], *, training: bool, images: ImageFormat = EIGHT_BIT_RGB
    ) -> None:
        names = [entry.name for entry in entries]
        try:
            check_order(names, training=training)
        except ValueError as error:
            raise UsageError(f"transforms.{'train' if training else 'test'}: {error}") from None
        self.training, self.images = training, images
        steps = [_step(entry, training=training, last=place == len(names)) for place, entry in enumerate(entries, 1)]
        self.steps = _adapted(steps, images, f"transforms.{'train' if training else 'test'}")

    def __call__(self, sample: Sample, seed_parts: SeedParts = ()) -> Prepared:
        """Return the tensors of one sample.

        Args:
            sample: The decoded image and label.
            seed_parts: The values that randomness depends on: (seed, epoch, index). The global generator is restored.

        Raises:
            DataError: A transform cannot handle the image; names the image.
        """
        pixels = sample.image if sample.image.dtype == np.uint8 else sample.image.astype(np.float32, copy=False)
        pixels = pixels if pixels.flags.writeable else pixels.copy()  # torch has no tensors that are read only
        image: Any = tv_tensors.Image(torch.from_numpy(pixels).permute(2, 0, 1))
        label: Any = tv_tensors.Mask(torch.from_numpy(sample.label))
        try:
            if self.training:
                with seeded(seed_parts):
                    for step in self.steps:
                        image, label = step(image, label)
            else:
                for step in self.steps:
                    image = step(image)
        except DataError as error:
            raise DataError(f"{sample.name}: {error}") from None
        plain = image.as_subclass(Tensor)
        if plain.dtype == torch.uint8:
            plain = plain.float().div_(255)
        return Prepared(plain.contiguous(), label.as_subclass(Tensor).contiguous())


def check_repeatable(pipeline: Pipeline, sample: Sample, seed_parts: SeedParts) -> None:
    """Apply external transforms twice, to check that they only use torch's generator.

    Raises:
        UsageError: The same seed did not give the same image and label.
    """
    own = [step.name for step in pipeline.steps if isinstance(step, ForeignTransform)]
    if not own:
        return
    first, again = pipeline(sample, seed_parts), pipeline(sample, seed_parts)
    if not (torch.equal(first.image, again.image) and torch.equal(first.label, again.label)):
        raise UsageError(
            f"transforms.train: {', '.join(own)}: the same seed gave two images; draw at random with torch only, whose "
            "generator is seeded for every image"
        )


def _adapted(steps: Sequence[Any], images: ImageFormat, where: str) -> list[Any]:
    """Adapt transforms to an image format; they fill with the value that normalisation maps to zero."""
    try:
        means = [step.adapt_to(images, ()).pixel_mean for step in steps if isinstance(step, Normalize)]
        fill: list[float] = means[0] if means else [0.0] * images.channels
        if images.is_rgb8:
            fill = list(MEAN_COLOR)
        elif images.dtype == "uint8":
            fill = [round(value) for value in fill]
        return [step.adapt_to(images, fill) if hasattr(step, "adapt_to") else step for step in steps]
    except DataError as error:
        raise DataError(f"{where}: {error}") from None


@contextmanager
def seeded(parts: SeedParts) -> Iterator[None]:
    """Seed torch's CPU generator within the block and restore it afterwards; other devices are not affected."""
    before = torch.get_rng_state()
    torch.default_generator.manual_seed(derive_seed(*parts))
    try:
        yield
    finally:
        torch.set_rng_state(before)


def derive_seed(*parts: int) -> int:
    """Return a 63-bit seed that depends on all parts and their order."""
    text = ",".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") >> 1


def _step(entry: TransformEntry, *, training: bool, last: bool) -> Any:
    """Return the transform of an entry.

    Raises:
        UsageError: It is external, used in evaluation, and does not declare itself deterministic.
    """
    made = TRANSFORMS.create(entry.name, **entry.options)
    if entry.name in BUILT_IN:
        return made
    step = as_transform(entry.name, made, last=last)
    if not training and not step.deterministic:
        raise UsageError(
            f"transforms.test: {entry.name} may change images at random; what does not has an attribute "
            "deterministic = True"
        )
    return step
