"""Bilinear upsampling of class scores as the FCN paper does it: a transposed convolution, trained or fixed."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from segbench.models.blocks import bilinear_kernel


class BilinearDeconvolution(nn.Module):
    """Upsamples class scores by a transposed convolution that starts bilinear, kernel twice the stride, no bias.

    Args:
        classes: Channels, in and out.
        stride: The factor.
        mode: ``learned``: a full (classes, classes, K, K) kernel is trained. ``fixed``: it stays, as a buffer, and
            costs what it costs in Caffe, zeros between different classes included. ``depthwise``: it stays, and
            these zeros are left out; on CUDA, where depthwise transposed convolutions of such large kernels are slow,
            it is done as two matrix products.
        padding: Rows and columns cut off every side; stride / 2 leaves exactly ``stride`` times the size.
    """

    def __init__(
        self, classes: int, stride: int, *, mode: Literal["learned", "fixed", "depthwise"], padding: int
    ) -> None:
        super().__init__()
        self.stride, self.padding = stride, padding
        self.depthwise = mode == "depthwise"
        self.groups = classes if mode == "depthwise" else 1
        kernel = bilinear_kernel(2 * stride)
        if mode == "depthwise":
            weight = kernel.repeat(classes, 1, 1, 1)
        else:
            weight = torch.eye(classes)[:, :, None, None] * kernel
        if mode == "learned":
            self.weight = nn.Parameter(weight)
        else:
            self.register_buffer("weight", weight, persistent=False)

    def forward(self, scores: Tensor) -> Tensor:
        """Map (N, classes, H, W) to about ``stride`` times the size.

        On CPUs in float32, autocast or not: in bfloat16 the kernel of stride 32 takes 50 times as long there, most of
        the time of a narrow FCN-32s.
        """
        if self.depthwise and scores.is_cuda:
            return upsample_by_matrices(scores, self.stride, padding=self.padding)
        with torch.autocast("cpu", enabled=False):
            return functional.conv_transpose2d(
                scores.to(self.weight.dtype),
                self.weight,
                stride=self.stride,
                padding=self.padding,
                groups=self.groups,
            )


def upsample_by_matrices(scores: Tensor, stride: int, *, padding: int) -> Tensor:
    """Return what a fixed bilinear deconvolution returns: rows and columns each times a matrix of its weights.

    ``functional.interpolate`` has other values at the border, adds gradients up in bfloat16 where scores are, and on
    CUDA in an order that changes from call to call.

    Args:
        scores: (N, classes, H, W); under autocast too they are computed on in float32.
        stride: The factor.
        padding: Rows and columns cut off every side.

    Returns:
        (N, classes, (H + 1) * stride - 2 * padding, (W + 1) * stride - 2 * padding), float32 or float64.
    """
    with torch.autocast(scores.device.type, enabled=False):
        wide = scores if scores.dtype == torch.float64 else scores.float()
        rows, columns = (bilinear_matrix(size, stride, padding=padding, like=wide) for size in scores.shape[-2:])
        return rows @ wide @ columns.T


def bilinear_matrix(size: int, stride: int, *, padding: int, like: Tensor) -> Tensor:
    """Return the weights of ``size`` values in each place of a bilinear deconvolution along one axis.

    Args:
        size: Number of values.
        stride: Places from value to value; the kernel has twice as many.
        padding: Places cut off either end.
        like: Gives type and device.

    Returns:
        ((size + 1) * stride - 2 * padding, size), at most two weights a row; all are exact in float32.
    """
    places = torch.arange((size + 1) * stride - 2 * padding, dtype=like.dtype, device=like.device) + padding
    values = torch.arange(size, dtype=like.dtype, device=like.device) * stride + (stride - 0.5)
    return (1 - (places[:, None] - values).abs() / stride).clamp(min=0)
