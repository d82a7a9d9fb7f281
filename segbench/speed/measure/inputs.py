"""Random batches that rotate through more memory than the caches hold."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle

import torch
from torch import Tensor

from segbench.engine.device import ComputeConfig
from segbench.results.speed.record import SpeedCase, Task

CPU_CACHE_BYTES = 64 * 2**20
"""Taken as the last-level cache of a processor, which torch does not tell."""
MOST_BATCHES = 4096
"""Of images so small that even these lie in a cache, timing tells of overheads anyway."""

_HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Batches:
    """Batches for the calls of one case.

    Attributes:
        images: (N, C, H, W) tensors on the device, normally distributed, never zero; float32, or what the case's
            weights are cast to.
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


def random_batches(case: SpeedCase, arithmetic: ComputeConfig, *, seed: int = 0) -> Batches:
    """Draw as many batches as exceed the device's last cache twice, at most ``MOST_BATCHES``; labels for training.

    On CUDA they are drawn by the device, so that a large batch needs neither the host's memory nor its time.
    """
    drawn_on = arithmetic.device if arithmetic.device.type == "cuda" else torch.device("cpu")
    generator = torch.Generator(drawn_on).manual_seed(seed)
    dtype, (height, width) = dtype_of(case), case.size
    shape = (case.batch_size, case.channels, height, width)
    bytes_each = dtype.itemsize * math.prod(shape)
    count = min(MOST_BATCHES, 1 + 2 * cache_bytes(arithmetic.device) // bytes_each)

    def draw_images() -> Tensor:
        return arithmetic.images(torch.randn(shape, generator=generator, device=drawn_on).to(dtype))

    def draw_labels() -> Tensor:
        size = (case.batch_size, height, width)
        return torch.randint(case.classes, size, generator=generator, device=drawn_on).to(arithmetic.device)

    images = tuple(draw_images() for _ in range(count))
    labels = tuple(draw_labels() for _ in range(count if case.task is Task.TRAINING else 0))
    return Batches(images, labels)


def dtype_of(case: SpeedCase) -> torch.dtype:
    """Return the type of a case's images, and of its weights: float32 but where they are cast beforehand."""
    return _HALF[case.precision] if case.casting else torch.float32


def cache_bytes(device: torch.device) -> int:
    """Return the size of the device's last cache."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).L2_cache_size)
    return CPU_CACHE_BYTES
