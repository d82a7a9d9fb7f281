"""DeconvNet: VGG-16 and its mirror image, joined by two convolutions of the whole map."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn

from segbench.errors import UsageError
from segbench.models.base import InputConstraint, SegmentationNetwork
from segbench.models.blocks import init_he, pool_with_switches, scaled, unpool
from segbench.models.networks.options import NetworkOptions
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

    def __init__(self, classes: int, channels: int, options: DeconvNetOptions) -> None:
        super().__init__()
        width, fc_kernel = options.width, options.fc_kernel
        conv = partial(conv_unit, **options.style)
        deconv = partial(deconv_unit, **options.style)
        trunk, hidden = scaled(VGG16_STAGES[-1][-1], width), scaled(options.fc_channels, width)
        self.input_constraint = InputConstraint(
            minimum=32 * (fc_kernel - 1) + 1, reason=f"pool5 must be at least {fc_kernel}x{fc_kernel}"
        )
        self.encoder = vgg16_stages(channels, width=width, **options.style)
        self.fc6 = conv(trunk, hidden, kernel=fc_kernel, padding=0)
        self.fc7 = conv(hidden, hidden, kernel=1, padding=0)
        self.fc6_deconv = deconv(hidden, trunk, kernel=fc_kernel, padding=0)
        self.decoder = mirrored_stages(trunk, DECODER_STAGES, width=width, unit=deconv)
        self.score = nn.Conv2d(scaled(DECODER_STAGES[-1][-1], width), classes, 1)
        init_he(self)
        paper = options.fc_channels == FULLY_CONNECTED and fc_kernel == FC_KERNEL
        load_vgg16(options.pretrained, self.encoder, [self.fc6, self.fc7] if paper else [])

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


@dataclass(frozen=True, kw_only=True)
class DeconvNetOptions(NetworkOptions):
    """DeconvNet (Noh et al., ICCV 2015): VGG-16, fully connected layers, and the mirror image with unpooling."""

    pretrained: bool | str = False
    """True for timm's ImageNet weights of vgg16_bn, or a file of vgg16_bn or vgg16; fc6 and fc7 take theirs where they
    have the paper's shape and the file has them."""
    fc_channels: int = 4096
    """Channels of fc6 and fc7; 1024 is the variant in the SegNet paper."""
    fc_kernel: int = 7
    """Kernel of fc6 and its deconvolution, odd; images need 32 * (fc_kernel - 1) + 1 rows and columns, so that 1 takes
    any size."""

    def build(self, classes: int, channels: int = 3) -> DeconvNet:
        """Return the network.

        Raises:
            UsageError: The kernel of fc6 is even.
        """
        if self.fc_kernel < 1 or self.fc_kernel % 2 == 0:
            raise UsageError(
                f"fc_kernel {self.fc_kernel}: an odd number from 1 on is needed; the paper has {FC_KERNEL}"
            )
        return DeconvNet(classes, channels, self)
