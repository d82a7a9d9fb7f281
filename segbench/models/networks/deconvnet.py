"""DeconvNet: VGG-16 and its mirror image, joined by two convolutions of the whole map."""

from __future__ import annotations

from functools import partial
from typing import Literal

from torch import Tensor, nn

from segbench.errors import UsageError
from segbench.models.base import InputConstraint, SegmentationNetwork
from segbench.models.blocks import init_he, pool_with_switches, scaled, unpool
from segbench.models.networks.vgg import (
    FULLY_CONNECTED,
    VGG16_STAGES,
    conv_unit,
    deconv_unit,
    mirrored_stages,
    vgg16_stages,
)
from segbench.models.networks.vgg_weights import load_vgg16

FC_KERNEL = 7
"""Kernel of fc6 and of the deconvolution that mirrors it."""

DECODER_STAGES = ((512, 512, 512), (512, 512, 256), (256, 256, 128), (128, 64), (64, 64))
"""Output channels of the transposed convolutions after each unpooling."""


class DeconvNet(SegmentationNetwork):
    """Convolutions, pools that keep their switches, fc6 and fc7, then unpooling and transposed convolutions.

    Every convolution, fc6, fc7 and the transposed ones included, is followed by batch norm and ReLU; no dropout.
    Pools round up, as Caffe's do, so that odd sizes work.

    Deviations: one forward pass of the whole image, where the published 69.6 on VOC 2012 aggregates 50 region
    proposals of a network trained in two stages; convolutions start as He et al. unless pretrained.
    """

    citation = (
        "H. Noh, S. Hong, B. Han, 'Learning Deconvolution Network for Semantic Segmentation', ICCV 2015, "
        "arXiv:1505.04366"
    )

    def __init__(
        self,
        classes: int,
        channels: int,
        *,
        width: float,
        norm: str,
        activation: str,
        fc_channels: int,
        fc_kernel: int,
    ) -> None:
        super().__init__()
        conv = partial(conv_unit, norm=norm, activation=activation)
        deconv = partial(deconv_unit, norm=norm, activation=activation)
        trunk, hidden = scaled(VGG16_STAGES[-1][-1], width), scaled(fc_channels, width)
        self.input_constraint = InputConstraint(
            minimum=32 * (fc_kernel - 1) + 1, reason=f"pool5 must be at least {fc_kernel}x{fc_kernel}"
        )
        self.encoder = vgg16_stages(channels, width=width, norm=norm, activation=activation)
        self.fc6 = conv(trunk, hidden, kernel=fc_kernel, padding=0)
        self.fc7 = conv(hidden, hidden, kernel=1, padding=0)
        self.fc6_deconv = deconv(hidden, trunk, kernel=fc_kernel, padding=0)
        self.decoder = mirrored_stages(trunk, DECODER_STAGES, width=width, unit=deconv)
        self.score = nn.Conv2d(scaled(DECODER_STAGES[-1][-1], width), classes, 1)
        init_he(self)

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, channels, H, W) images to (N, classes, H, W) logits.

        Raises:
            ModelRefusal: The images are too small for fc6.
        """
        self.check_size(images)
        features, stack = images, []
        for stage in self.encoder:
            features, switches = pool_with_switches(stage(features))
            stack.append(switches)
        features = self.fc6_deconv(self.fc7(self.fc6(features)))
        for stage in self.decoder:
            features = stage(unpool(features, stack.pop()))
        logits: Tensor = self.score(features)
        return logits


def deconvnet(
    classes: int,
    channels: int = 3,
    *,
    width: float = 1.0,
    norm: Literal["none", "batch", "group"] | None = None,
    activation: str = "relu",
    pretrained: bool | str = False,
    fc_channels: int = 4096,
    fc_kernel: int = 7,
) -> nn.Module:
    """DeconvNet (Noh et al., ICCV 2015): VGG-16, fully connected layers, and the mirror image with unpooling.

    Args:
        classes: Number of classes.
        channels: Channels of the image.
        width: Scales every channel count; 1.0 is the paper.
        norm: Normalisation after every convolution; the paper has batch.
        activation: Activation by timm's name.
        pretrained: True for timm's ImageNet weights of vgg16_bn, or a file of vgg16_bn or vgg16; fc6 and fc7 take
            theirs where they have the paper's shape and the file has them.
        fc_channels: Channels of fc6 and fc7; 1024 is the variant in the SegNet paper.
        fc_kernel: Kernel of fc6 and its deconvolution, odd; images need 32 * (fc_kernel - 1) + 1 rows and columns, so
            that 1 takes any size.
    """
    if fc_kernel < 1 or fc_kernel % 2 == 0:
        raise UsageError(f"fc_kernel {fc_kernel}: an odd number from 1 on is needed; the paper has {FC_KERNEL}")
    network = DeconvNet(
        classes,
        channels,
        width=width,
        norm=norm or "batch",
        activation=activation,
        fc_channels=fc_channels,
        fc_kernel=fc_kernel,
    )
    paper = fc_channels == FULLY_CONNECTED and fc_kernel == FC_KERNEL
    load_vgg16(pretrained, network.encoder, [network.fc6, network.fc7] if paper else [])
    return network
