"""Random input batches, used in turn, that together exceed the caches."""

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
"""Assumed size of a CPU's last-level cache, which torch does not report."""
MOST_BATCHES = 4096
"""If images are so small that even these fit into a cache, overheads dominate the time anyway."""

_HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Batches:
    """Batches for the calls of one case.

    Attributes:
        images: (N, C, H, W) tensors on the device, normally distributed, never zero; float32, or the type that the
            case's weights are cast to.
        labels: (N, H, W) int64 tensors of class indices; empty for inference.
    """

    images: tuple[Tensor, ...]
    labels: tuple[Tensor, ...]

    @property
    def spare_bytes(self) -> int:
        """Bytes of all batches but one."""
        one = sum(kind[0].nbytes for kind in (self.images, self.labels) if kind)
        return (len(self.images) - 1) * one

    def next_images(self) -> Callable[[], Tensor]:
        """Return a function that returns the image batches in turn, repeatedly."""
        return cycle(self.images).__next__


def random_batches(case: SpeedCase, arithmetic: ComputeConfig, *, seed: int = 0) -> Batches:
    """Draw batches that exceed twice the device's last-level cache, at most ``MOST_BATCHES``; with labels for training.

    On CUDA they are drawn on the device, so large batches take no time or memory of the host.
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
    """Return the dtype of a case's images and weights: float32 unless weights are cast before timing."""
    return _HALF[case.precision] if case.casting else torch.float32


def cache_bytes(device: torch.device) -> int:
    """Return the size of the device's last-level cache in bytes."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).L2_cache_size)
    return CPU_CACHE_BYTES
