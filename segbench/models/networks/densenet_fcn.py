"""A DenseNet made fully convolutional: 1x1 scores at three depths, summed on the way up as in FCN-8s.

G. Huang, Z. Liu, L. van der Maaten, K. Q. Weinberger, "Densely Connected Convolutional Networks", CVPR 2017,
arXiv:1608.06993, figure 2, for the encoder; J. Long, E. Shelhamer, T. Darrell, "Fully Convolutional Networks for
Semantic Segmentation", CVPR 2015, arXiv:1411.4038, figure 3, for the decoder.

Deviation from FCN: fixed bilinear interpolation to the size of the next map takes the place of deconvolution and crop.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Literal

import torch
from torch import Tensor, nn

from segbench.errors import UnknownNameError, UsageError
from segbench.models.base import SegmentationNetwork
from segbench.models.blocks import activation_layer, init_he, norm_layer, resize, scaled
from segbench.models.networks.timm_encoders import TimmEncoder, timm_encoder
from segbench.option_kinds import PositiveFloat

CITATION = (
    'G. Huang, Z. Liu, L. van der Maaten, K. Q. Weinberger, "Densely Connected Convolutional Networks", CVPR 2017, '
    'arXiv:1608.06993; J. Long, E. Shelhamer, T. Darrell, "Fully Convolutional Networks for Semantic Segmentation", '
    "CVPR 2015, arXiv:1411.4038"
)

SCORE_STRIDES = (32, 16, 8)
"""Strides of the maps that are scored, deepest first, as in FCN-8s."""


class DenseNetFCN(SegmentationNetwork):
    """A timm encoder with FCN's decoder: scores of strides 32, 16 and 8, summed."""

    citation = CITATION

    def __init__(self, classes: int, encoder: TimmEncoder) -> None:
        super().__init__()
        self.levels = [encoder.at_stride(stride) for stride in SCORE_STRIDES]
        self.scores = nn.ModuleList(nn.Conv2d(encoder.channels[level], classes, 1) for level in self.levels)
        init_he(self)
        self.encoder = encoder  # after the initialisation, which is the decoder's

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, channels, H, W) images to (N, classes, H, W) logits."""
        maps = self.encoder(images)
        scores = [score(maps[level]) for score, level in zip(self.scores, self.levels, strict=True)]
        logits: Tensor = scores[0]
        for finer in scores[1:]:
            logits = resize(logits, *finer.shape[-2:]) + finer
        return resize(logits, *images.shape[-2:])


def densenet_fcn(
    classes: int,
    channels: int = 3,
    *,
    width: PositiveFloat = 1.0,
    norm: Literal["none", "batch", "group"] | None = None,
    activation: str = "relu",
    encoder: str = "densenet121",
    pretrained: bool | str = False,
) -> nn.Module:
    """DenseNet with an FCN-8s decoder: summed scores of three depths (Huang et al. 2017, Long et al. 2015).

    Args:
        classes: Number of classes.
        channels: Channels of the images.
        width: Scales the growth rate, and with it every channel count of the encoder; 1.0 is the paper.
        norm: Normalisation before every convolution; null is the paper's batch.
        activation: Activation by timm's name.
        encoder: One of timm's DenseNets.
        pretrained: Weights of the encoder: false, true, or the path of a file in timm's key layout.

    Raises:
        UsageError: timm has no such DenseNet, or there can be no weights for this width and norm.
        WeightsError: The weights cannot be had or do not fit.
    """
    import timm

    densenets = timm.list_models("densenet*")
    if encoder.partition(".")[0] not in densenets:
        raise UnknownNameError("DenseNet of timm", encoder, densenets)
    if pretrained and (width != 1.0 or norm in ("none", "group")):
        raise UsageError("densenet_fcn: pretrained weights need width: 1.0 and batch norm")
    changes: dict[str, Any] = {}
    if width != 1.0:
        changes["growth_rate"] = scaled(_growth_rate(encoder), width)
    if activation != "relu":
        activation_layer(activation)  # an unknown name is refused here
        changes["act_layer"] = activation
    if norm in ("none", "group"):
        changes["norm_layer"] = _norm_and_activation(norm, activation)
    return DenseNetFCN(classes, timm_encoder(encoder, channels=channels, pretrained=pretrained, changes=changes))


@cache
def _growth_rate(encoder: str) -> int:
    import timm

    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        densenet = timm.create_model(encoder)
    return int(densenet.get_submodule("features.denseblock1.denselayer1.conv2").get_parameter("weight").shape[0])


def _norm_and_activation(norm: str, activation: str) -> Callable[..., nn.Module]:
    """Return a maker of normalisation with activation, as timm's DenseNet calls it."""

    def make(channels: int, **_: Any) -> nn.Module:
        return nn.Sequential(norm_layer(norm, channels), activation_layer(activation))

    return make
