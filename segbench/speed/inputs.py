"""Random batches that rotate through more memory than the caches hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle

import torch
from torch import Tensor

from segbench.engine.arithmetic import Arithmetic
from segbench.results.speed_record import SpeedCase, Task

CPU_CACHE_BYTES = 64 * 2**20
"""Taken as the last-level cache of a processor, which torch does not tell."""
MOST_BATCHES = 4096
"""Of images so small that even these lie in a cache, timing tells of overheads anyway."""


@dataclass(frozen=True)
class Batches:
    """Batches for the calls of one case.

    Attributes:
        images: (N, C, H, W) float32 tensors on the device, normally distributed, never zero.
        labels: (N, H, W) int64 tensors of class indices; empty where nothing is trained.
    """

    images: tuple[Tensor, ...]
    labels: tuple[Tensor, ...]

    @property
    def spare_bytes(self) -> int:
        """What the batches beyond one take."""
        one = sum(kind[0].nbytes for kind in (self.images, self.labels) if kind)
        return (len(self.images) - 1) * one

    def next_images(self) -> Callable[[], Tensor]:
        """Return a function that hands out the images in turn, over and over."""
        return cycle(self.images).__next__


def random_batches(case: SpeedCase, arithmetic: Arithmetic, *, seed: int = 0) -> Batches:
    """Draw as many batches as exceed the device's last cache twice, at most ``MOST_BATCHES``; labels for training."""
    generator = torch.Generator().manual_seed(seed)
    height, width = case.size
    shape = (case.batch_size, case.channels, height, width)
    bytes_each = 4 * case.batch_size * case.channels * height * width
    count = min(MOST_BATCHES, 1 + 2 * cache_bytes(arithmetic.device) // bytes_each)
    images = [arithmetic.images(torch.randn(shape, generator=generator)) for _ in range(count)]
    labels = [
        torch.randint(case.classes, (case.batch_size, height, width), generator=generator).to(arithmetic.device)
        for _ in range(count if case.task is Task.TRAINING else 0)
    ]
    return Batches(tuple(images), tuple(labels))


def cache_bytes(device: torch.device) -> int:
    """Return the size of the device's last cache."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).L2_cache_size)
    return CPU_CACHE_BYTES
