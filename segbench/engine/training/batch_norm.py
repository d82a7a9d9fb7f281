"""Statistics of batch norm computed anew for evaluation, with dropout off."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from segbench.engine.device import ComputeConfig
from segbench.engine.distributed import ALONE, ProcessGroup


class _Moments:
    """Sums over what a layer was given: number of values, sum and sum of squares of each channel, (C,).

    They are float64, so they are kept on the CPU: not every device has it.
    """

    def __init__(self) -> None:
        self.values = 0
        self.total = torch.zeros((), dtype=torch.float64)
        self.squares = torch.zeros((), dtype=torch.float64)

    def __call__(self, _layer: nn.Module, given: tuple[Tensor, ...]) -> None:
        """Add a layer's input, (N, C, …), as a forward hook."""
        features = given[0].detach().float()
        across = [axis for axis in range(features.dim()) if axis != 1]
        variance, mean = (part.cpu().double() for part in torch.var_mean(features, across, correction=0))
        count = features.numel() // features.shape[1]
        self.values += count
        self.total = self.total + count * mean
        self.squares = self.squares + count * (variance + mean.square())

    def sums(self) -> _Sums:
        """Return what processes exchange."""
        return _Sums(self.values, self.total, self.squares)


class _Sums(NamedTuple):
    """The sums of one process."""

    values: int
    total: Tensor
    squares: Tensor


def compute_statistics(
    network: nn.Module, batches: Iterable[Tensor], *, compute: ComputeConfig, group: ProcessGroup = ALONE
) -> None:
    """Replace the running statistics of batch norm by mean and variance over all values that it is given.

    Dropout is off, as in evaluation. Running statistics are of training: dropout raises the variance of what follows
    it, so that they are too large wherever dropout comes before batch norm (Li et al., "Understanding the Disharmony
    between Dropout and Batch Normalization by Variance Shift", CVPR 2019); they also lag behind the weights. Computing
    them anew is "precise BN" (Wu and Johnson, "Rethinking 'Batch' in BatchNorm", 2021, section 3). As in training,
    every batch is normalised by its own statistics while they are collected.

    Args:
        network: The network, on the device; left in evaluation mode.
        batches: (N, C, H, W) images, as in training; with several processes, this one's share.
        compute: Device, precision and memory layout.
        group: The processes whose batches are taken together.
    """
    layers = [layer for layer in network.modules() if isinstance(layer, _BatchNorm) and layer.track_running_stats]
    if not layers:
        return
    network.eval()
    moments = [_Moments() for _ in layers]
    with torch.inference_mode(), _observed(layers, moments):
        for images in batches:
            with compute.autocast():
                network(compute.images(images))
    shares = group.all_gather([found.sums() for found in moments])
    for layer, parts in zip(layers, zip(*shares, strict=True), strict=True):
        _store(layer, parts)


@contextmanager
def _observed(layers: list[_BatchNorm], moments: list[_Moments]) -> Iterator[None]:
    """Let layers normalise by each batch, and their inputs be added up."""
    counters = [None if layer.num_batches_tracked is None else layer.num_batches_tracked.clone() for layer in layers]
    with ExitStack() as stack:
        for layer, found in zip(layers, moments, strict=True):
            stack.callback(layer.register_forward_pre_hook(found).remove)
            layer.train()
        yield
    for layer, counter in zip(layers, counters, strict=True):
        layer.eval()
        if counter is not None and layer.num_batches_tracked is not None:
            layer.num_batches_tracked.copy_(counter)


def _store(layer: _BatchNorm, shares: Sequence[_Sums]) -> None:
    """Set a layer's statistics from the sums of all processes; a layer that nothing passed keeps its own."""
    count = sum(share.values for share in shares)
    if not count or layer.running_mean is None or layer.running_var is None:
        return
    mean = torch.stack([share.total for share in shares if share.values]).sum(0) / count
    squares = torch.stack([share.squares for share in shares if share.values]).sum(0) / count
    layer.running_mean.copy_(mean)
    layer.running_var.copy_((squares - mean.square()).clamp_min(0))
